//! The decoder of a transformer: embedding, layers, norm and LM head, on packed rows.
//!
//! ```text
//! tokens ─► embed ─► Layer ─► Layer ─► ... ─► norm ─► head ─► logits
//!           first stage                        last stage
//!
//! Layer     x ─► norm ─► attention ─► norm ─► + x ─► norm ─► MLP or experts ─► norm ─► + ─► x
//! ```
//!
//! A norm that a model family does not have is skipped. Start at [`Decoder::load`] and [`Decoder::forward`]. The same
//! work on a device is in `gpu/decoder_device.rs`.

use crate::{
    DType, Error, Result,
    adapters::AdapterId,
    gpu::Backend,
    kv_cache::{CacheLayout, KvCache},
    layers::{
        AdapterRows, AdapterTarget, Attention, Embedding, Experts, InputFeatures, Linear,
        LinearSpec, Mlp, ModuleSlice, ModuleUsage, Norm, Packing, PassSegment, cpu_tensor,
    },
    load::Weights,
    parallel::Shard,
};
use candle_core::Tensor;
use llem_checkpoint::{LayerKind, ModuleKind, Shape};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The part of a decoder that one rank has, for any model family. It is the whole decoder, or the layers of one
/// pipeline stage. Tensor-parallel ranks each have a part of every layer.
pub(crate) struct Decoder {
    pub(crate) shape: Shape,
    stage: Stage,
    /// Only on the first stage.
    pub(crate) embedding: Option<Embedding>,
    pub(crate) positions: Option<Embedding>,
    pub(crate) layers: Vec<Layer>,
    /// Only on the last stage.
    pub(crate) norm: Option<Norm>,
    pub(crate) head: Option<Linear>,
    pub(crate) shard: Shard,
    dtype: DType,
    backend: Backend,
}

/// A stage of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stage {
    /// The index of the stage.
    pub index: usize,
    /// The number of stages in the pipeline.
    pub count: usize,
    /// The indices of the stage's layers in the model.
    pub layers: Range<usize>,
}

impl Stage {
    /// Returns true if this stage looks up the tokens' vectors.
    pub(crate) fn is_first(&self) -> bool {
        self.index == 0
    }

    /// Returns true if this stage computes logits.
    pub(crate) fn is_last(&self) -> bool {
        self.index + 1 == self.count
    }
}

/// One layer of the decoder, its parts in the order in which they run.
pub(crate) struct Layer {
    pub attention_in: Option<Norm>,
    pub attention: Attention,
    pub attention_out: Option<Norm>,
    pub mlp_in: Option<Norm>,
    pub mlp: MlpOrExperts,
    pub mlp_out: Option<Norm>,
    pub parallel: bool,
}

/// The part of a layer that follows attention.
pub(crate) enum MlpOrExperts {
    Mlp(Mlp),
    Experts(Experts),
}

impl Decoder {
    /// Loads every tensor of a stage from `weights`.
    ///
    /// # Errors
    /// Returns an error that names the tensor if one is missing or has another shape.
    pub(crate) fn load(weights: &Weights, shape: Shape, stage: Stage) -> Result<Self> {
        let names = shape.names;
        let body = weights.at(names.base);
        let needs_table = stage.is_first() || (stage.is_last() && shape.tied_head);
        let table = needs_table.then(|| {
            let prefix = body.at(names.embedding);
            let prefix = if stage.is_first() { prefix } else { prefix.without_counting() };
            Embedding::load(&prefix, shape.vocab, shape.hidden, true)
        });
        let mut embedding = table.transpose()?;
        let positions = names.positions.filter(|_| stage.is_first());
        let positions = positions
            .map(|name| Embedding::load(&body.at(name), shape.context, shape.hidden, false))
            .transpose()?;
        let layers = stage
            .layers
            .clone()
            .map(|index| {
                let prefix = body.at(names.layers).at(&index.to_string());
                Layer::load(&prefix, &shape, shape.layer_kinds[index])
            })
            .collect::<Result<_>>()?;
        let (mut norm, mut head) = (None, None);
        if stage.is_last() {
            let prefix = body.at(names.norm);
            norm = Some(Norm::load(&prefix, shape.hidden, shape.norm, shape.norm_eps)?);
            head = Some(match embedding.as_mut().filter(|_| shape.tied_head) {
                Some(embedding) => embedding.tie_head(weights.at(names.head).module()),
                None => untied_head(weights, &shape)?,
            });
        }
        weights.check()?;
        Ok(Self {
            embedding: embedding.filter(|_| stage.is_first()),
            positions,
            layers,
            norm,
            head,
            shard: weights.shard().clone(),
            dtype: weights.dtype(),
            backend: weights.place().clone(),
            stage,
            shape,
        })
    }

    /// Looks up the tokens' vectors on the CPU, in the order of the segments.
    ///
    /// # Shapes
    /// - returns: `[tokens, hidden]`
    ///
    /// # Errors
    /// Returns [`Error::Bug`] if this is not the first stage.
    pub(crate) fn embed(&self, segments: &[PassSegment<'_>], packing: &Packing) -> Result<Tensor> {
        let embedding = self.embedding.as_ref().ok_or_else(|| misplaced("the embedding"))?;
        let ids: Vec<u32> = segments.iter().flat_map(|segment| segment.tokens).copied().collect();
        let mut x = embedding.lookup(&ids, &packing.adapters)?;
        if self.shape.embedding_scale != 1.0 {
            x = (x * f64::from(self.shape.embedding_scale))?;
        }
        if let Some(positions) = &self.positions {
            let ids: Vec<u32> = packing.positions.iter().map(|&at| at as u32).collect();
            x = cpu_tensor::add(&x, &positions.lookup(&ids, &packing.adapters)?)?;
        }
        Ok(x)
    }

    /// Runs the stage's layers on the CPU. The caches take the tokens' keys and values.
    ///
    /// # Shapes
    /// - `x`: `[tokens, hidden]`
    /// - returns: `[tokens, hidden]`
    pub(crate) fn forward(
        &self,
        mut x: Tensor,
        packing: &Packing,
        caches: &mut [KvCache],
    ) -> Result<Tensor> {
        for (index, layer) in self.layers.iter().enumerate() {
            let mut caches: Vec<_> =
                caches.iter_mut().map(|cache| cache.layer(index)).collect::<Result<_>>()?;
            x = layer.forward(&x, packing, &mut caches)?;
        }
        Ok(x)
    }

    /// Computes logits from hidden states on the CPU. All ranks of the stage get all logits.
    ///
    /// # Shapes
    /// - `hidden`: `[rows, hidden]`
    /// - returns: `[rows, vocab]`
    ///
    /// # Errors
    /// Returns [`Error::Bug`] if this is not the last stage.
    pub(crate) fn logits(&self, hidden: &Tensor, adapters: &AdapterRows) -> Result<Tensor> {
        let (Some(norm), Some(head)) = (&self.norm, &self.head) else {
            return Err(misplaced("the LM head"));
        };
        let own = head.forward(&norm.forward(hidden, adapters)?, adapters)?;
        let logits = self.shard.gather(own, self.shape.vocab)?;
        Ok(match self.shape.logit_softcap.map(f64::from) {
            Some(cap) => ((logits / cap)?.tanh()? * cap)?,
            None => logits,
        })
    }

    /// Calls `each` with every layer that adapters can change, and how often it runs.
    pub(crate) fn for_each_adapter_target(
        &mut self,
        mut each: impl FnMut(ModuleUsage, &mut dyn AdapterTarget) -> Result<()>,
    ) -> Result<()> {
        let always = ModuleUsage::Tokens(1.0);
        for table in [&mut self.embedding, &mut self.positions].into_iter().flatten() {
            each(always, table)?;
        }
        for layer in &mut self.layers {
            layer.for_each_adapter_target(&mut each)?;
        }
        if let Some(norm) = &mut self.norm {
            each(always, norm)?;
        }
        self.head.as_mut().map_or(Ok(()), |head| each(ModuleUsage::Logits, head))
    }

    /// Writes the tables of attached adapters, in the order of their slots, and of changed weights to the device.
    /// Does nothing on the CPU.
    pub(crate) fn publish(&mut self, slots: &[AdapterId]) -> Result<()> {
        if self.backend.is_cpu() {
            return Ok(());
        }
        self.for_each_adapter_target(|_, part| part.publish(slots))?;
        for layer in &mut self.layers {
            if let MlpOrExperts::Experts(experts) = &mut layer.mlp {
                experts.publish(slots)?;
            }
        }
        Ok(())
    }

    /// Returns the layout of this rank's KV caches. `dtype` is the number format of keys and values. With
    /// `None` it is the format of the weights. `sharing` ranks reserve their caches in the same memory.
    pub(crate) fn cache_layout(&self, dtype: Option<DType>, sharing: usize) -> CacheLayout {
        CacheLayout {
            layers: self.layers.len(),
            heads: self.shard.range_of_heads(self.shape.kv_heads).len(),
            dim: self.shape.head_dim,
            dtype: dtype.unwrap_or(self.dtype),
            backend: self.backend.clone(),
            sharing,
        }
    }

    /// Returns the bytes of tables from which a step reads one row for each token instead of all rows. These are the
    /// learned positions, and the token embedding if this rank does not multiply with it as a tied LM head.
    pub(crate) fn lookup_bytes(&self) -> usize {
        let is_head = self.stage.is_last() && self.shape.tied_head;
        let tables = self.embedding.iter().filter(|_| !is_head).chain(&self.positions);
        tables.map(Embedding::bytes).sum()
    }

    /// Returns the pipeline stage that this rank runs.
    pub(crate) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Returns the shape of the whole model.
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns where this rank computes.
    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }
}

/// Loads an LM head that is not tied to the embedding. Each rank has a part of the vocabulary.
fn untied_head(weights: &Weights, shape: &Shape) -> Result<Linear> {
    let (name, outputs) = (shape.names.head, shape.vocab);
    let head = LinearSpec {
        modules: vec![ModuleSlice::with_range(name, outputs, weights.shard().range_of(outputs))],
        inputs: InputFeatures::new(shape.hidden),
        bias: false,
        transposed: false,
    };
    Ok(Linear::load(weights, head)?.with_roles([ModuleKind::Head]))
}

fn misplaced(what: &str) -> Error {
    Error::Bug(format!("{what} is on another stage"))
}

impl Layer {
    fn load(weights: &Weights, shape: &Shape, kind: LayerKind) -> Result<Self> {
        let names = &shape.names;
        let norm = |name: Option<&'static str>| {
            name.map(|name| Norm::load(&weights.at(name), shape.hidden, shape.norm, shape.norm_eps))
                .transpose()
        };
        Ok(Self {
            attention_in: norm(names.attention_in_norm)?,
            attention: Attention::load(weights, shape, kind)?,
            attention_out: norm(names.attention_out_norm)?,
            mlp_in: norm(names.mlp_in_norm)?,
            mlp: match shape.experts.filter(|_| kind.experts) {
                Some(experts) => MlpOrExperts::Experts(Experts::load(weights, shape, &experts)?),
                None => MlpOrExperts::Mlp(Mlp::load(weights, shape)?),
            },
            mlp_out: norm(names.mlp_out_norm)?,
            parallel: shape.parallel,
        })
    }

    /// Runs one layer on the CPU.
    ///
    /// # Shapes
    /// - `x`: `[tokens, hidden]`
    /// - returns: `[tokens, hidden]`
    fn forward(
        &self,
        x: &Tensor,
        packing: &Packing,
        caches: &mut [&mut crate::kv_cache::LayerCache],
    ) -> Result<Tensor> {
        let rows = &packing.adapters;
        let normed = |norm: &Option<Norm>, x: &Tensor| {
            norm.as_ref().map_or_else(|| Ok(x.clone()), |norm| norm.forward(x, rows))
        };
        let attended = self.attention.forward(&normed(&self.attention_in, x)?, packing, caches)?;
        let attended = cpu_tensor::add(x, &normed(&self.attention_out, &attended)?)?;
        let source = if self.parallel { x } else { &attended };
        let source = normed(&self.mlp_in, source)?;
        let mixed = match &self.mlp {
            MlpOrExperts::Mlp(mlp) => mlp.forward(&source, rows)?,
            MlpOrExperts::Experts(experts) => experts.forward(&source, rows)?,
        };
        cpu_tensor::add(&attended, &normed(&self.mlp_out, &mixed)?)
    }

    fn for_each_adapter_target(
        &mut self,
        each: &mut impl FnMut(ModuleUsage, &mut dyn AdapterTarget) -> Result<()>,
    ) -> Result<()> {
        let always = ModuleUsage::Tokens(1.0);
        let norms =
            [&mut self.attention_in, &mut self.attention_out, &mut self.mlp_in, &mut self.mlp_out];
        norms.into_iter().flatten().try_for_each(|norm| each(always, norm))?;
        self.attention.adapter_targets().into_iter().try_for_each(|part| each(always, part))?;
        match &mut self.mlp {
            MlpOrExperts::Mlp(mlp) => {
                mlp.adapter_targets().into_iter().try_for_each(|part| each(always, part))
            }
            MlpOrExperts::Experts(experts) => {
                experts.adapter_targets().try_for_each(|(used, part)| each(used, part))
            }
        }
    }
}
