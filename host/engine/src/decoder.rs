//! The decoder: embedding, layers, norm and head, on packed rows.

use crate::{
    DType, Result,
    adapters::Role,
    families::{LayerKind, Shape},
    kernels::pointwise,
    kv_cache::KvCache,
    layers::{
        Adapt, AdapterRows, Attention, Embedding, Experts, Linear, Mlp, Norm, Packing, Segment,
        Use, host,
    },
    load::Weights,
};
use candle_core::{Device, Tensor};

/// A transformer decoder of any family.
pub struct Decoder {
    shape: Shape,
    embedding: Embedding,
    positions: Option<Embedding>,
    layers: Vec<Layer>,
    norm: Norm,
    head: Linear,
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
        let table = |name: &str, rows| Embedding::load(&body.at(name), rows, shape.hidden);
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
        let head = if shape.tied_head {
            embedding.head(weights.at(names.head).module())
        } else {
            Linear::load(weights, &[(names.head, shape.vocab)], shape.hidden, false, false)?
                .with_roles([Role::Head])
        };
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
        let mut x = self.embedding.lookup(&ids, &packing.adapters)?;
        if self.shape.embedding_scale != 1.0 {
            x = (x * f64::from(self.shape.embedding_scale))?;
        }
        if let Some(positions) = &self.positions {
            let ids: Vec<u32> = packing.positions.iter().map(|&at| at as u32).collect();
            x = add(&x, &positions.lookup(&ids, &packing.adapters)?)?;
        }
        for (index, layer) in self.layers.iter().enumerate() {
            let mut caches: Vec<_> =
                caches.iter_mut().map(|cache| &mut cache.layers[index]).collect();
            x = layer.forward(&x, &packing, &mut caches)?;
        }
        for segment in segments {
            caches[segment.slot].len += segment.tokens.len();
        }
        self.norm.forward(&x, &packing.adapters)
    }

    /// Hidden states `[rows, hidden]` to logits `[rows, vocab]`.
    pub fn logits(&self, hidden: &Tensor, adapters: &AdapterRows) -> Result<Tensor> {
        let logits = self.head.forward(hidden, adapters)?;
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
        each(always, &mut self.embedding)?;
        if let Some(positions) = &mut self.positions {
            each(always, positions)?;
        }
        for layer in &mut self.layers {
            layer.for_each_adapted(&mut each)?;
        }
        each(always, &mut self.norm)?;
        each(Use::Logits, &mut self.head)
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
        let rows = &packing.adapters;
        let normed = |norm: &Option<Norm>, x: &Tensor| {
            norm.as_ref().map_or_else(|| Ok(x.clone()), |norm| norm.forward(x, rows))
        };
        let attended = self.attention.forward(&normed(&self.attention_in, x)?, packing, caches)?;
        let attended = add(x, &normed(&self.attention_out, &attended)?)?;
        let source = if self.parallel { x } else { &attended };
        let source = normed(&self.mlp_in, source)?;
        let mixed = match &self.mlp {
            MlpOrExperts::Mlp(mlp) => mlp.forward(&source, rows)?,
            MlpOrExperts::Experts(experts) => experts.forward(&source, rows)?,
        };
        add(&attended, &normed(&self.mlp_out, &mixed)?)
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

/// `a + b` of one shape.
fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if !host::computes(a.device()) {
        return Ok((a + b)?);
    }
    let width = a.dim(1)?;
    let sum = host::with_slice(a, |a| host::with_slice(b, |b| pointwise::add(a, b)))??;
    host::rows(sum, width)
}
