//! The decoder on a device, which queues its work layer by layer.
//!
//! The output of a layer is not added to the residual stream at once. The next norm adds it and normalises the sum in
//! one kernel.
//!
//! ```text
//! x ─► norm ─► attention ─► o        x += o, norm ─► MLP ─► d        x += d, norm ─► attention ─► ...
//! ```

use super::{Backend, DeviceLogits, Gpu, KernelContext, PassTables, arena::padded};
use crate::{
    Error, Result,
    decoder::{Decoder, Layer, MlpOrExperts},
    layers::{AttentionContext, Norm},
};
use llem_compute::{
    Buffer, DType, View,
    ops::{norm::AddNorm, rope::Rotary},
};
use std::sync::Arc;

/// The frequencies of a rotary embedding on a device.
pub(super) struct Frequencies {
    buffer: Buffer,
    pairs: usize,
    factor: f32,
}

impl Frequencies {
    /// Describes the embedding to kernels. `own` are the frequencies of each sequence of the pass, if they differ.
    fn rotary<'a>(&'a self, own: Option<View<'a>>) -> Rotary<'a> {
        let inverse_frequencies = own.unwrap_or_else(|| self.buffer.view());
        let (by_sequence, pairs) = (own.is_some(), self.pairs);
        Rotary { inverse_frequencies, by_sequence, pairs, factor: self.factor }
    }
}

/// The residual stream of a pass.
pub(crate) struct ResidualStream<'a> {
    /// The stream without the pending outputs, `[rows, hidden]`.
    pub x: View<'a>,
    pending: PendingSum<'a>,
}

/// The outputs of layers that are still to be added to the residual stream, and the norm that is applied to their sum
/// first.
#[derive(Clone, Copy, Default)]
struct PendingSum<'a> {
    deltas: [Option<View<'a>>; 2],
    post: Option<&'a Norm>,
}

/// The tables that a decoder has on its device besides its weights.
pub(crate) struct DecoderTables {
    /// The device and its kernels.
    pub gpu: Arc<Gpu>,
    frequencies: Vec<Frequencies>,
    /// u32: the start of each rank's part of the vocabulary, and then the end of the last.
    vocabulary: Buffer,
}

impl DecoderTables {
    /// Copies the tables to the decoder's device. Returns `None` on the CPU.
    pub(crate) fn from_decoder(decoder: &Decoder) -> Result<Option<Self>> {
        let Backend::Gpu(gpu) = decoder.backend() else { return Ok(None) };
        let ropes = decoder.shape().ropes.iter();
        let frequencies = ropes.map(|rope| {
            let buffer = Buffer::from_f32(&gpu.device, &rope.inverse_frequencies)?;
            Ok(Frequencies { buffer, pairs: rope.pairs(), factor: rope.factor })
        });
        let (count, vocab) = (decoder.shard.count, decoder.shape().vocab);
        let parts =
            (0..count).map(|rank| crate::parallel::split::part_range(vocab, rank, count).start);
        let parts: Vec<u32> = parts.chain([vocab]).map(|start| start as u32).collect();
        Ok(Some(Self {
            frequencies: frequencies.collect::<Result<_>>()?,
            vocabulary: Buffer::from_u32(&gpu.device, &parts)?,
            gpu: Arc::clone(gpu),
        }))
    }
}

impl Decoder {
    /// Returns the largest number of bytes that a pass of this size takes from the arena.
    pub(crate) fn arena_bytes(&self, gpu: &Gpu, size: PassSize) -> usize {
        let PassSize { rows, wanted, decodes, longest, ranks } = size;
        let (shape, size) = (self.shape(), gpu.dtype.size());
        let layout = self.cache_layout(None, 1);
        let heads = self.shard.range_of(shape.heads).len();
        let attention = (2 * heads + heads + 2 * layout.heads) * shape.head_dim;
        let mlp = self.shard.range_of(shape.intermediate).len() + self.shard.count;
        let gates = 1 + usize::from(shape.is_gated());
        let residual = 5 * shape.hidden;
        let mut bytes = rows * (residual + attention + (gates + 1) * mlp) * size;
        let experts = self.layers.iter().filter_map(|layer| match &layer.mlp {
            MlpOrExperts::Experts(experts) => Some(experts.arena_bytes(rows, gpu.dtype)),
            MlpOrExperts::Mlp(_) => None,
        });
        bytes += experts.max().unwrap_or(0);
        bytes += gpu.attention.decode_scratch(decodes, heads, longest);
        // Squares of queries and keys, and the `A x` of adapters.
        let active = shape.experts.map_or(1, |experts| experts.active.max(1));
        bytes += rows * (2 + active * (ranks + 4)) * size_of::<f32>();
        if ranks > 0 {
            // Weights that an adapter puts in the place of the model's have outputs of their own.
            let widest = (gates * mlp).max(attention).max(shape.hidden);
            bytes += rows * widest * size + wanted * (shape.vocab + ranks) * size_of::<f32>();
        }
        let part = shape.vocab.div_ceil(self.shard.count);
        bytes += wanted * shape.hidden * size;
        if !self.shard.is_unsplit() {
            bytes += wanted * part * (1 + self.shard.count) * size_of::<f32>();
        }
        // Each piece begins at a multiple of the arena's alignment.
        bytes + 64 * padded(1)
    }

    /// Queues the lookup of the tokens' vectors. The rank must be on the first stage.
    ///
    /// # Shapes
    /// - returns: a stream of `[rows, hidden]`
    pub(crate) fn embed_on_device<'a>(
        &'a self,
        context: &KernelContext<'a>,
        tables: &PassTables,
    ) -> Result<ResidualStream<'a>> {
        let embedding = self.embedding.as_ref().ok_or_else(misplaced)?;
        let x = context.take(context.rows, self.shape.hidden)?;
        embedding.lookup_on_device(context, tables.ids()?, self.shape.embedding_scale, false, x)?;
        if let Some(positions) = &self.positions {
            positions.lookup_on_device(context, tables.positions()?, 1.0, true, x)?;
        }
        Ok(ResidualStream::new(x))
    }

    /// Queues the stage's layers.
    ///
    /// # Shapes
    /// - `stream`: `[rows, hidden]`
    /// - returns: a stream of `[rows, hidden]`, whose last outputs are pending
    pub(crate) fn forward_layers_on_device<'a>(
        &'a self,
        context: &KernelContext<'a>,
        tables: &'a PassTables,
        on_device: &'a DecoderTables,
        mut stream: ResidualStream<'a>,
    ) -> Result<ResidualStream<'a>> {
        let rotaries = on_device.frequencies.iter().enumerate();
        let rotaries: Vec<Rotary<'_>> = rotaries
            .map(|(index, frequencies)| Ok(frequencies.rotary(tables.own_frequencies(index)?)))
            .collect::<Result<_>>()?;
        let heads = self.shard.range_of(self.shape.heads).len();
        let scratch = context.gpu.attention.decode_scratch(tables.decodes, heads, tables.longest);
        let shared =
            AttentionContext { tables, rotaries: &rotaries, scratch: context.arena.take(scratch)? };
        let width = self.shape.hidden;
        let hidden = || context.take(context.rows, width);
        let (normed, deltas) = ([hidden()?, hidden()?], [hidden()?, hidden()?]);
        let buffers = LayerBuffers { width, normed, deltas };
        for (index, layer) in self.layers.iter().enumerate() {
            stream = layer.forward_on_device(context, &shared, index, stream, &buffers)?;
        }
        Ok(stream)
    }

    /// Queues the final norm and the LM head. The rank must be on the last stage. `index` names the rows of the
    /// stream whose logits are wanted, or is `None` for all.
    ///
    /// # Shapes
    /// - `stream`: `[_, hidden]`
    /// - `index`: `[context.rows]`, u32
    /// - `out`: `[context.rows, vocab]`, f32, overwritten
    pub(crate) fn logits_on_device(
        &self,
        context: &KernelContext<'_>,
        on_device: &DecoderTables,
        stream: &ResidualStream<'_>,
        index: Option<View<'_>>,
        out: &DeviceLogits,
    ) -> Result<()> {
        let (Some(norm), Some(head)) = (&self.norm, &self.head) else { return Err(misplaced()) };
        let normed = context.take(context.rows, self.shape.hidden)?;
        stream.add_norm(context, self.shape.hidden, index, Some((norm, normed)))?;
        let (rows, vocab) = (context.rows, self.shape.vocab);
        let logits = out.buffer.view();
        if context.group.is_solo() {
            head.forward_on_device_in_f32(context, normed, logits)?;
        } else {
            let (count, own) = (self.shard.count, head.outputs());
            // All ranks gather parts of one size: the size of the largest part.
            let widest = vocab.div_ceil(count);
            let bytes = rows * widest * size_of::<f32>();
            let part = context.arena.take(bytes)?;
            head.forward_on_device_in_f32(context, normed, part)?;
            let all = context.arena.take(count * bytes)?;
            context.group.all_gather(part, all, rows * widest, DType::F32)?;
            debug_assert!(own <= widest);
            let parts = on_device.vocabulary.view();
            context.gpu.rows.columns_to_rows(rows, count, widest, parts, all, logits)?;
        }
        if let Some(cap) = self.shape.logit_softcap {
            context.gpu.rows.softcap(rows * vocab, cap, logits)?;
        }
        Ok(())
    }
}

/// The sizes of a pass, from which its memory is computed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PassSize {
    /// The number of rows.
    pub rows: usize,
    /// The number of rows whose logits are wanted.
    pub wanted: usize,
    /// The number of sequences with one row.
    pub decodes: usize,
    /// The largest number of keys that such a sequence has.
    pub longest: usize,
    /// The largest number of rows that an adapter's factors A have for one linear layer, all its modules together.
    pub ranks: usize,
}

/// Memory that the layers use one after another.
struct LayerBuffers<'a> {
    width: usize,
    normed: [View<'a>; 2],
    deltas: [View<'a>; 2],
}

impl<'a> ResidualStream<'a> {
    /// Makes a stream without pending outputs.
    pub(crate) fn new(x: View<'a>) -> Self {
        Self { x, pending: PendingSum::default() }
    }

    /// Queues the addition of the pending outputs, and the norm of the sum. With an `index` only the norm of these
    /// rows is computed, and the stream stays as it is.
    ///
    /// # Shapes
    /// - `index`: `[context.rows]`, u32
    /// - `norm`: the norm, and its output `[context.rows, hidden]`
    fn add_norm(
        &self,
        context: &KernelContext<'_>,
        width: usize,
        index: Option<View<'_>>,
        norm: Option<(&Norm, View<'_>)>,
    ) -> Result<()> {
        let PendingSum { deltas, post } = self.pending;
        Ok(context.gpu.norms.add_norm(&AddNorm {
            rows: context.rows,
            width,
            x: self.x,
            deltas,
            post: post.map(|post| post.weights(context)).transpose()?,
            norm: norm
                .map(|(norm, out)| Ok::<_, Error>((norm.weights(context)?, out)))
                .transpose()?,
            index,
            adapters: context.adapters.map(|adapters| adapters.rows),
        })?)
    }

    /// Queues the addition of the pending outputs to the stream. Returns the norm of the sum, or the sum if there is
    /// no norm.
    ///
    /// # Shapes
    /// - `out`: `[rows, hidden]`, overwritten if there is a norm
    /// - returns: `[rows, hidden]`
    fn advance(
        &mut self,
        context: &KernelContext<'_>,
        width: usize,
        norm: Option<&Norm>,
        out: View<'a>,
    ) -> Result<View<'a>> {
        if norm.is_some() || self.pending.deltas[0].is_some() {
            self.add_norm(context, width, None, norm.map(|norm| (norm, out)))?;
        }
        self.pending = PendingSum::default();
        Ok(norm.map_or(self.x, |_| out))
    }

    /// Queues the addition of the pending outputs to the stream.
    pub(crate) fn add_pending(&mut self, context: &KernelContext<'_>, width: usize) -> Result<()> {
        let x = self.x;
        self.advance(context, width, None, x).map(drop)
    }
}

impl Layer {
    fn forward_on_device<'a>(
        &'a self,
        context: &KernelContext<'_>,
        shared: &AttentionContext<'_>,
        index: usize,
        mut stream: ResidualStream<'a>,
        buffers: &LayerBuffers<'a>,
    ) -> Result<ResidualStream<'a>> {
        let &LayerBuffers { width, normed, deltas } = buffers;
        let source = stream.advance(context, width, self.attention_in.as_ref(), normed[0])?;
        let own = match self.parallel {
            true => Some(stream.advance(context, width, self.mlp_in.as_ref(), normed[1])?),
            false => None,
        };
        self.attention.forward_on_device(context, shared, index, source, deltas[0])?;
        let source = match own {
            Some(own) => own,
            None => {
                stream.pending = PendingSum {
                    deltas: [Some(deltas[0]), None],
                    post: self.attention_out.as_ref(),
                };
                stream.advance(context, width, self.mlp_in.as_ref(), normed[0])?
            }
        };
        match &self.mlp {
            MlpOrExperts::Mlp(mlp) => mlp.forward_on_device(context, source, deltas[1])?,
            MlpOrExperts::Experts(experts) => {
                experts.forward_on_device(context, source, deltas[1])?
            }
        }
        let first = self.parallel.then_some(deltas[0]);
        stream.pending =
            PendingSum { deltas: [Some(deltas[1]), first], post: self.mlp_out.as_ref() };
        Ok(stream)
    }
}

fn misplaced() -> Error {
    Error::Bug("an embedding or an LM head is on another stage".to_owned())
}
