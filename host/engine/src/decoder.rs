//! The decoder: embedding, layers, norm and head, on packed rows.

use crate::{
    DType, Result,
    families::{LayerKind, Shape},
    kernels::pointwise,
    kv_cache::KvCache,
    layers::{Attention, Experts, Linear, Mlp, Norm, Packing, Segment, host},
    load::Weights,
};
use candle_core::{Device, Tensor};

/// A transformer decoder of any family.
pub struct Decoder {
    shape: Shape,
    embedding: Linear,
    positions: Option<Linear>,
    layers: Vec<Layer>,
    norm: Norm,
    /// None where the embedding is the head.
    head: Option<Linear>,
    dtype: DType,
    device: Device,
}

struct Layer {
    attention_in: Option<Norm>,
    attention: Attention,
    attention_out: Option<Norm>,
    mlp_in: Option<Norm>,
    mlp: MlpOrExperts,
    mlp_out: Option<Norm>,
    parallel: bool,
}

enum MlpOrExperts {
    Mlp(Mlp),
    Experts(Experts),
}

impl Decoder {
    /// Loads every tensor of the shape from `weights`.
    pub fn load(weights: &Weights, shape: Shape) -> Result<Self> {
        let names = shape.names;
        let body = weights.at_if_present(names.base);
        let table = |name: &str, rows: usize| -> Result<Linear> {
            let matrix = body.at(name).matrix("weight", rows, shape.hidden, false)?;
            Linear::new(&body, &[matrix], vec![None])
        };
        let embedding = table(names.embedding, shape.vocab)?;
        let positions = names.positions.map(|name| table(name, shape.context)).transpose()?;
        let layers = shape
            .layer_kinds
            .iter()
            .enumerate()
            .map(|(index, &kind)| {
                Layer::load(&body.at(names.layers).at(&index.to_string()), &shape, kind)
            })
            .collect::<Result<_>>()?;
        let norm = Norm::load(&body.at(names.norm), shape.hidden, shape.norm, shape.norm_eps)?;
        let head = (!shape.tied_head)
            .then(|| {
                let parts = [(names.head, shape.vocab)];
                Linear::load(weights, &parts, shape.hidden, false, false)
            })
            .transpose()?;
        weights.check()?;
        Ok(Self {
            embedding,
            positions,
            layers,
            norm,
            head,
            dtype: weights.dtype(),
            device: weights.device().clone(),
            shape,
        })
    }

    /// Runs new tokens of several sequences and returns their last hidden states, normalised,
    /// `[tokens, hidden]` in the segments' order. `caches[segment.slot]` grows by the tokens.
    pub fn forward(&self, segments: &[Segment<'_>], caches: &mut [KvCache]) -> Result<Tensor> {
        let packing = Packing::new(segments, |slot| caches[slot].len, &self.shape.ropes);
        let ids: Vec<u32> = segments.iter().flat_map(|segment| segment.tokens).copied().collect();
        let mut x = self.embedding.lookup(&ids)?;
        if self.shape.embedding_scale != 1.0 {
            x = (x * f64::from(self.shape.embedding_scale))?;
        }
        if let Some(positions) = &self.positions {
            let ids: Vec<u32> = packing.positions.iter().map(|&at| at as u32).collect();
            x = add(&x, &positions.lookup(&ids)?)?;
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let mut caches: Vec<_> =
                caches.iter_mut().map(|cache| &mut cache.layers[index]).collect();
            x = layer.forward(&x, &packing, &mut caches)?;
        }
        for segment in segments {
            caches[segment.slot].len += segment.tokens.len();
        }
        self.norm.forward(&x)
    }

    /// Hidden states `[rows, hidden]` to logits `[rows, vocab]`.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let logits = self.head.as_ref().unwrap_or(&self.embedding).forward(hidden)?;
        Ok(match self.shape.logit_softcap.map(f64::from) {
            Some(cap) => ((logits / cap)?.tanh()? * cap)?,
            None => logits,
        })
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
    pub fn device(&self) -> &Device {
        &self.device
    }
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
        let attended = self.attention.forward(&normed(&self.attention_in, x)?, packing, caches)?;
        let attended = add(x, &normed(&self.attention_out, &attended)?)?;
        let source = if self.parallel { x } else { &attended };
        let source = normed(&self.mlp_in, source)?;
        let mixed = match &self.mlp {
            MlpOrExperts::Mlp(mlp) => mlp.forward(&source)?,
            MlpOrExperts::Experts(experts) => experts.forward(&source)?,
        };
        add(&attended, &normed(&self.mlp_out, &mixed)?)
    }
}

fn normed(norm: &Option<Norm>, x: &Tensor) -> Result<Tensor> {
    norm.as_ref().map_or_else(|| Ok(x.clone()), |norm| norm.forward(x))
}

/// `a + b` of one shape.
fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if !host::computes(a.device()) {
        return Ok((a + b)?);
    }
    let width = a.dim(1)?;
    let sum = host::with_slice(a, |a| host::with_slice(b, |b| pointwise::add(a, b)))??;
    host::rows(sum, width)
}
