//! The decoder: embedding, layers, norm and head, on packed rows.

use crate::{
    DType, Error, Result,
    adapters::AdapterId,
    gpu::Place,
    kv_cache::{KvCache, Layout},
    layers::{
        Adapt, AdapterRows, Attention, Embedding, Experts, Linear, Mlp, Norm, Packing, Segment,
        Use,
        features::{Inputs, Part, Product},
        host,
    },
    load::Weights,
    parallel::Shard,
};
use candle_core::Tensor;
use llem_checkpoint::{
    adapters::Role,
    families::{LayerKind, Shape},
};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The part of a transformer decoder, of any family, that one rank has: all of it, or a stage's layers, of
/// which tensor-parallel ranks each have a part.
pub struct Decoder {
    pub(crate) shape: Shape,
    stage: Stage,
    /// Of the first stage.
    pub(crate) embedding: Option<Embedding>,
    pub(crate) positions: Option<Embedding>,
    pub(crate) layers: Vec<Layer>,
    /// Of the last stage.
    pub(crate) norm: Option<Norm>,
    pub(crate) head: Option<Linear>,
    pub(crate) shard: Shard,
    dtype: DType,
    place: Place,
}

/// Which of the pipeline's stages it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Its place in the pipeline.
    pub index: usize,
    /// Stages in the pipeline.
    pub count: usize,
    /// Its layers.
    pub layers: Range<usize>,
}

impl Stage {
    /// Whether it looks tokens up.
    pub fn is_first(&self) -> bool {
        self.index == 0
    }

    /// Whether it computes logits.
    pub fn is_last(&self) -> bool {
        self.index + 1 == self.count
    }
}

/// A layer's parts, each under its place in the order of work.
pub(crate) struct Layer {
    pub attention_in: Option<Norm>,
    pub attention: Attention,
    pub attention_out: Option<Norm>,
    pub mlp_in: Option<Norm>,
    pub mlp: MlpOrExperts,
    pub mlp_out: Option<Norm>,
    pub parallel: bool,
}

/// What a layer has after attention.
pub(crate) enum MlpOrExperts {
    Mlp(Mlp),
    Experts(Experts),
}

impl Decoder {
    /// Loads every tensor of a stage from `weights`.
    pub fn load(weights: &Weights, shape: Shape, stage: Stage) -> Result<Self> {
        let names = shape.names;
        let body = weights.at(names.base);
        let needs_table = stage.is_first() || (stage.is_last() && shape.tied_head);
        let table = needs_table.then(|| {
            let place = body.at(names.embedding);
            let place = if stage.is_first() { place } else { place.uncounted() };
            Embedding::load(&place, shape.vocab, shape.hidden, true)
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
                let place = body.at(names.layers).at(&index.to_string());
                Layer::load(&place, &shape, shape.layer_kinds[index])
            })
            .collect::<Result<_>>()?;
        let (mut norm, mut head) = (None, None);
        if stage.is_last() {
            let place = body.at(names.norm);
            norm = Some(Norm::load(&place, shape.hidden, shape.norm, shape.norm_eps)?);
            head = Some(match embedding.as_mut().filter(|_| shape.tied_head) {
                Some(embedding) => embedding.head(weights.at(names.head).module()),
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
            place: weights.place().clone(),
            stage,
            shape,
        })
    }

    /// The tokens' vectors, `[tokens, hidden]` in the segments' order; of the first stage.
    pub fn embed(&self, segments: &[Segment<'_>], packing: &Packing) -> Result<Tensor> {
        let embedding = self.embedding.as_ref().ok_or_else(|| misplaced("the embedding"))?;
        let ids: Vec<u32> = segments.iter().flat_map(|segment| segment.tokens).copied().collect();
        let mut x = embedding.lookup(&ids, &packing.adapters)?;
        if self.shape.embedding_scale != 1.0 {
            x = (x * f64::from(self.shape.embedding_scale))?;
        }
        if let Some(positions) = &self.positions {
            let ids: Vec<u32> = packing.positions.iter().map(|&at| at as u32).collect();
            x = host::add(&x, &positions.lookup(&ids, &packing.adapters)?)?;
        }
        Ok(x)
    }

    /// Runs the stage's layers on `[tokens, hidden]`. The caches take the tokens' keys and values.
    pub fn forward(
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

    /// Hidden states `[rows, hidden]` to logits `[rows, vocab]`, on every rank; of the last stage.
    pub fn logits(&self, hidden: &Tensor, adapters: &AdapterRows) -> Result<Tensor> {
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

    /// Shows every part that adapters change, with how often it is run.
    pub fn for_each_adapted(
        &mut self,
        mut each: impl FnMut(Use, &mut dyn Adapt) -> Result<()>,
    ) -> Result<()> {
        let always = Use::Tokens(1.0);
        for table in [&mut self.embedding, &mut self.positions].into_iter().flatten() {
            each(always, table)?;
        }
        for layer in &mut self.layers {
            layer.for_each_adapted(&mut each)?;
        }
        if let Some(norm) = &mut self.norm {
            each(always, norm)?;
        }
        self.head.as_mut().map_or(Ok(()), |head| each(Use::Logits, head))
    }

    /// Tells a device which adapters are attached, by their slots, and where weights are that have changed.
    pub fn publish(&mut self, slots: &[AdapterId]) -> Result<()> {
        if self.place.is_host() {
            return Ok(());
        }
        self.for_each_adapted(|_, part| part.publish(slots))?;
        for layer in &mut self.layers {
            if let MlpOrExperts::Experts(experts) = &mut layer.mlp {
                experts.publish(slots)?;
            }
        }
        Ok(())
    }

    /// What it keeps of a token, in the weights' number format unless another is given; `sharing` ranks use the same
    /// memory.
    pub fn cache_layout(&self, dtype: Option<DType>, sharing: usize) -> Layout {
        Layout {
            layers: self.layers.len(),
            heads: self.shard.of_heads(self.shape.kv_heads).len(),
            dim: self.shape.head_dim,
            dtype: dtype.unwrap_or(self.dtype),
            place: self.place.clone(),
            sharing,
        }
    }

    /// Bytes of its tables of which a step reads a row for each token, and never all: learned positions, and the token
    /// embedding where this rank does not multiply with it as a tied LM head.
    pub fn lookup_bytes(&self) -> usize {
        let is_head = self.stage.is_last() && self.shape.tied_head;
        let tables = self.embedding.iter().filter(|_| !is_head).chain(&self.positions);
        tables.map(Embedding::bytes).sum()
    }

    /// Which stage it is.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The model's shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The number format of weights and KV cache.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Where it lives.
    pub fn place(&self) -> &Place {
        &self.place
    }
}

/// A head of its own, each rank with its part of the vocabulary.
fn untied_head(weights: &Weights, shape: &Shape) -> Result<Linear> {
    let (name, outputs) = (shape.names.head, shape.vocab);
    let head = Product {
        parts: vec![Part::some(name, outputs, weights.shard().of(outputs))],
        inputs: Inputs::whole(shape.hidden),
        bias: false,
        transposed: false,
    };
    Ok(Linear::load(weights, head)?.with_roles([Role::Head]))
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
        let attended = host::add(x, &normed(&self.attention_out, &attended)?)?;
        let source = if self.parallel { x } else { &attended };
        let source = normed(&self.mlp_in, source)?;
        let mixed = match &self.mlp {
            MlpOrExperts::Mlp(mlp) => mlp.forward(&source, rows)?,
            MlpOrExperts::Experts(experts) => experts.forward(&source, rows)?,
        };
        host::add(&attended, &normed(&self.mlp_out, &mixed)?)
    }

    fn for_each_adapted(
        &mut self,
        each: &mut impl FnMut(Use, &mut dyn Adapt) -> Result<()>,
    ) -> Result<()> {
        let always = Use::Tokens(1.0);
        let norms =
            [&mut self.attention_in, &mut self.attention_out, &mut self.mlp_in, &mut self.mlp_out];
        norms.into_iter().flatten().try_for_each(|norm| each(always, norm))?;
        self.attention.adapted().into_iter().try_for_each(|part| each(always, part))?;
        match &mut self.mlp {
            MlpOrExperts::Mlp(mlp) => {
                mlp.adapted().into_iter().try_for_each(|part| each(always, part))
            }
            MlpOrExperts::Experts(experts) => {
                experts.adapted().try_for_each(|(used, part)| each(used, part))
            }
        }
    }
}
