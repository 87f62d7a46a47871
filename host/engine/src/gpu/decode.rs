//! The decoder's work on a device, queued layer by layer.
//!
//! What a layer adds to the residual stream is not added at once: the next norm does both in one launch.
//!
//! ```text
//! x ─► norm ─► attention ─► o        x += o, norm ─► MLP ─► d        x += d, norm ─► attention ─► ...
//! ```

use super::{DeviceLogits, Gpu, Place, Plan, Run, arena::padded};
use crate::{
    Error, Result,
    decoder::{Decoder, Layer, MlpOrExperts},
    layers::{Norm, attention_device::Shared},
};
use llem_compute::{
    Buffer, DType, View,
    ops::{norm::AddNorm, rope::Rotary},
};
use std::sync::Arc;

/// Rotary frequencies on a device.
pub struct Frequencies {
    buffer: Buffer,
    pairs: usize,
    factor: f32,
}

impl Frequencies {
    /// With the frequencies of each sequence of a pass, where they have their own.
    fn rotary<'a>(&'a self, own: Option<View<'a>>) -> Rotary<'a> {
        let inverse_frequencies = own.unwrap_or_else(|| self.buffer.view());
        let (by_sequence, pairs) = (own.is_some(), self.pairs);
        Rotary { inverse_frequencies, by_sequence, pairs, factor: self.factor }
    }
}

/// The residual stream of a pass.
pub struct Stream<'a> {
    /// `[rows, hidden]`, without what waits to be added.
    pub x: View<'a>,
    waiting: Waiting<'a>,
}

/// What is to be added to the residual stream, and the norm of it before that.
#[derive(Clone, Copy, Default)]
struct Waiting<'a> {
    deltas: [Option<View<'a>>; 2],
    post: Option<&'a Norm>,
}

/// What a decoder has on its device besides weights.
pub struct OnDevice {
    /// The device.
    pub gpu: Arc<Gpu>,
    frequencies: Vec<Frequencies>,
    /// u32: where each rank's part of the vocabulary begins, and the end.
    vocabulary: Buffer,
}

impl OnDevice {
    /// Of a decoder on a device; none on the CPU.
    pub fn of(decoder: &Decoder) -> Result<Option<Self>> {
        let Place::Gpu(gpu) = decoder.place() else { return Ok(None) };
        let ropes = decoder.shape().ropes.iter();
        let frequencies = ropes.map(|rope| {
            let buffer = Buffer::of_f32(&gpu.device, &rope.inverse_frequencies)?;
            Ok(Frequencies { buffer, pairs: rope.pairs(), factor: rope.factor })
        });
        let (count, vocab) = (decoder.shard.count, decoder.shape().vocab);
        let parts = (0..count).map(|rank| crate::parallel::split::part(vocab, rank, count).start);
        let parts: Vec<u32> = parts.chain([vocab]).map(|start| start as u32).collect();
        Ok(Some(Self {
            frequencies: frequencies.collect::<Result<_>>()?,
            vocabulary: Buffer::of_u32(&gpu.device, &parts)?,
            gpu: Arc::clone(gpu),
        }))
    }
}

impl Decoder {
    /// Bytes that a pass of `rows` rows, `wanted` of which give logits, takes from the arena at most.
    pub fn arena_bytes(&self, gpu: &Gpu, plan_of: PassSize) -> usize {
        let PassSize { rows, wanted, decodes, longest, ranks } = plan_of;
        let (shape, size) = (self.shape(), gpu.dtype.size());
        let layout = self.cache_layout(None, 1);
        let heads = self.shard.of(shape.heads).len();
        let attention = (2 * heads + heads + 2 * layout.heads) * shape.head_dim;
        let mlp = self.shard.of(shape.intermediate).len() + self.shard.count;
        let gates = 1 + usize::from(shape.is_gated());
        let residual = 5 * shape.hidden;
        let mut bytes = rows * (residual + attention + (gates + 1) * mlp) * size;
        let experts = self.layers.iter().filter_map(|layer| match &layer.mlp {
            MlpOrExperts::Experts(experts) => Some(experts.arena_bytes(rows, gpu.dtype)),
            MlpOrExperts::Mlp(_) => None,
        });
        bytes += experts.max().unwrap_or(0);
        bytes += gpu.attention.decode_scratch(decodes, heads, longest);
        // Squares of queries and keys, and what adapters' A give.
        let active = shape.experts.map_or(1, |experts| experts.active.max(1));
        bytes += rows * (2 + active * (ranks + 4)) * size_of::<f32>();
        if ranks > 0 {
            // Weights that an adapter has in place of the model's give rows of their own.
            let widest = (gates * mlp).max(attention).max(shape.hidden);
            bytes += rows * widest * size + wanted * (shape.vocab + ranks) * size_of::<f32>();
        }
        let part = shape.vocab.div_ceil(self.shard.count);
        bytes += wanted * shape.hidden * size;
        if !self.shard.is_whole() {
            bytes += wanted * part * (1 + self.shard.count) * size_of::<f32>();
        }
        // Each piece begins at a multiple of the arena's alignment.
        bytes + 64 * padded(1)
    }

    /// Vectors of the pass' tokens; of the first stage.
    pub fn embed_on_device<'a>(&'a self, run: &Run<'a>, plan: &Plan) -> Result<Stream<'a>> {
        let embedding = self.embedding.as_ref().ok_or_else(elsewhere)?;
        let x = run.take(run.rows, self.shape.hidden)?;
        embedding.run(run, plan.ids()?, self.shape.embedding_scale, false, x)?;
        if let Some(positions) = &self.positions {
            positions.run(run, plan.positions()?, 1.0, true, x)?;
        }
        Ok(Stream::new(x))
    }

    /// Runs the stage's layers.
    pub fn run_layers<'a>(
        &'a self,
        run: &Run<'a>,
        plan: &'a Plan,
        on_device: &'a OnDevice,
        mut stream: Stream<'a>,
    ) -> Result<Stream<'a>> {
        let rotaries = on_device.frequencies.iter().enumerate();
        let rotaries: Vec<Rotary<'_>> = rotaries
            .map(|(index, frequencies)| Ok(frequencies.rotary(plan.own_frequencies(index)?)))
            .collect::<Result<_>>()?;
        let heads = self.shard.of(self.shape.heads).len();
        let scratch = run.gpu.attention.decode_scratch(plan.decodes, heads, plan.longest);
        let shared = Shared { plan, rotaries: &rotaries, scratch: run.arena.take(scratch)? };
        let width = self.shape.hidden;
        let hidden = || run.take(run.rows, width);
        let (normed, deltas) = ([hidden()?, hidden()?], [hidden()?, hidden()?]);
        let buffers = Buffers { width, normed, deltas };
        for (index, layer) in self.layers.iter().enumerate() {
            stream = layer.run(run, &shared, index, stream, &buffers)?;
        }
        Ok(stream)
    }

    /// From hidden states of the rows whose logits are wanted to f32 `[wanted, vocab]`; of the last stage. `index` names these
    /// rows of the stream.
    pub fn logits_on_device(
        &self,
        run: &Run<'_>,
        on_device: &OnDevice,
        stream: &Stream<'_>,
        index: Option<View<'_>>,
        out: &DeviceLogits,
    ) -> Result<()> {
        let (Some(norm), Some(head)) = (&self.norm, &self.head) else { return Err(elsewhere()) };
        let normed = run.take(run.rows, self.shape.hidden)?;
        stream.add_norm(run, self.shape.hidden, index, Some((norm, normed)))?;
        let (rows, vocab) = (run.rows, self.shape.vocab);
        let logits = out.buffer.view();
        if run.group.is_solo() {
            head.run_wide(run, normed, logits)?;
        } else {
            let (count, own) = (self.shard.count, head.outputs());
            // Every rank gives as much as the one with the most.
            let widest = vocab.div_ceil(count);
            let bytes = rows * widest * size_of::<f32>();
            let part = run.arena.take(bytes)?;
            head.run_wide(run, normed, part)?;
            let all = run.arena.take(count * bytes)?;
            run.group.all_gather(part, all, rows * widest, DType::F32)?;
            debug_assert!(own <= widest);
            let parts = on_device.vocabulary.view();
            run.gpu.rows.columns_to_rows(rows, count, widest, parts, all, logits)?;
        }
        if let Some(cap) = self.shape.logit_softcap {
            run.gpu.rows.softcap(rows * vocab, cap, logits)?;
        }
        Ok(())
    }
}

/// What a pass needs room for.
#[derive(Clone, Copy, Debug, Default)]
pub struct PassSize {
    /// Rows.
    pub rows: usize,
    /// Rows whose logits are wanted.
    pub wanted: usize,
    /// Sequences with one row.
    pub decodes: usize,
    /// The most keys that any of those has.
    pub longest: usize,
    /// The most that adapters' A have rows, those of one product together.
    pub ranks: usize,
}

/// Memory that every layer uses again.
struct Buffers<'a> {
    width: usize,
    normed: [View<'a>; 2],
    deltas: [View<'a>; 2],
}

impl<'a> Stream<'a> {
    /// With nothing to be added.
    pub fn new(x: View<'a>) -> Self {
        Self { x, waiting: Waiting::default() }
    }

    /// Adds what waits; `norm` is of the sum, of some rows with an index (which leaves the stream as it is).
    fn add_norm(
        &self,
        run: &Run<'_>,
        width: usize,
        index: Option<View<'_>>,
        norm: Option<(&Norm, View<'_>)>,
    ) -> Result<()> {
        let Waiting { deltas, post } = self.waiting;
        Ok(run.gpu.norms.add_norm(&AddNorm {
            rows: run.rows,
            width,
            x: self.x,
            deltas,
            post: post.map(|post| post.weights(run)).transpose()?,
            norm: norm.map(|(norm, out)| Ok::<_, Error>((norm.weights(run)?, out))).transpose()?,
            index,
            adapters: run.adapters.map(|adapters| adapters.rows),
        })?)
    }

    /// Adds what waits to the stream, and gives the norm of the sum, or the sum itself.
    fn next(
        &mut self,
        run: &Run<'_>,
        width: usize,
        norm: Option<&Norm>,
        out: View<'a>,
    ) -> Result<View<'a>> {
        if norm.is_some() || self.waiting.deltas[0].is_some() {
            self.add_norm(run, width, None, norm.map(|norm| (norm, out)))?;
        }
        self.waiting = Waiting::default();
        Ok(norm.map_or(self.x, |_| out))
    }

    /// Adds what waits.
    pub fn settle(&mut self, run: &Run<'_>, width: usize) -> Result<()> {
        let x = self.x;
        self.next(run, width, None, x).map(drop)
    }
}

impl Layer {
    fn run<'a>(
        &'a self,
        run: &Run<'_>,
        shared: &Shared<'_>,
        index: usize,
        mut stream: Stream<'a>,
        buffers: &Buffers<'a>,
    ) -> Result<Stream<'a>> {
        let &Buffers { width, normed, deltas } = buffers;
        let source = stream.next(run, width, self.attention_in.as_ref(), normed[0])?;
        let own = match self.parallel {
            true => Some(stream.next(run, width, self.mlp_in.as_ref(), normed[1])?),
            false => None,
        };
        self.attention.run(run, shared, index, source, deltas[0])?;
        let source = match own {
            Some(own) => own,
            None => {
                stream.waiting =
                    Waiting { deltas: [Some(deltas[0]), None], post: self.attention_out.as_ref() };
                stream.next(run, width, self.mlp_in.as_ref(), normed[0])?
            }
        };
        match &self.mlp {
            MlpOrExperts::Mlp(mlp) => mlp.run(run, source, deltas[1])?,
            MlpOrExperts::Experts(experts) => experts.run(run, source, deltas[1])?,
        }
        let first = self.parallel.then_some(deltas[0]);
        stream.waiting = Waiting { deltas: [Some(deltas[1]), first], post: self.mlp_out.as_ref() };
        Ok(stream)
    }
}

fn elsewhere() -> Error {
    Error::Bug("an embedding or an LM head is on another stage".to_owned())
}
