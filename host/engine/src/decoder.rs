//! The decoder: embedding, layers, norm and head, on packed rows.

use crate::{
    Result,
    families::Shape,
    kv_cache::KvCache,
    layers::{Attention, GatedMlp, Linear, Packing, RmsNorm, Segment, packing::Span},
    load::Weights,
};
use candle_core::{DType, Device, Tensor};

/// A pre-norm transformer decoder.
pub struct Decoder {
    shape: Shape,
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: RmsNorm,
    head: Linear,
    dtype: DType,
    device: Device,
}

struct Layer {
    attention_norm: RmsNorm,
    attention: Attention,
    mlp_norm: RmsNorm,
    mlp: GatedMlp,
}

impl Decoder {
    /// Loads every tensor of the shape from `weights`.
    pub fn load(weights: &Weights, shape: Shape) -> Result<Self> {
        let body = weights.at("model");
        let embedding = body.at("embed_tokens").get("weight", &[shape.vocab, shape.hidden])?;
        let layers = (0..shape.layers)
            .map(|index| Layer::load(&body.at(&format!("layers.{index}")), &shape))
            .collect::<Result<_>>()?;
        let head = if shape.tied_head {
            Linear::tied(embedding.clone())
        } else {
            Linear::load(&weights.at("lm_head"), shape.hidden, shape.vocab, false)?
        };
        Ok(Self {
            norm: RmsNorm::load(&body.at("norm"), shape.hidden, shape.norm_eps)?,
            dtype: embedding.dtype(),
            device: embedding.device().clone(),
            shape,
            embedding,
            layers,
            head,
        })
    }

    /// Runs new tokens of several sequences and returns their last hidden states, normalised,
    /// `[tokens, hidden]` in the segments' order. `caches[segment.slot]` grows by the tokens.
    pub fn forward(&self, segments: &[Segment<'_>], caches: &mut [KvCache]) -> Result<Tensor> {
        let packing = self.pack(segments, caches)?;
        let ids: Vec<u32> = segments.iter().flat_map(|segment| segment.tokens).copied().collect();
        let ids = Tensor::new(ids, &self.device)?;
        let mut x = self.embedding.index_select(&ids, 0)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let mut layer_caches: Vec<_> =
                caches.iter_mut().map(|cache| &mut cache.layers[index]).collect();
            let attended = layer.attention.forward(
                &layer.attention_norm.forward(&x)?,
                &packing,
                &mut layer_caches,
            )?;
            x = (x + attended)?;
            let mixed = layer.mlp.forward(&layer.mlp_norm.forward(&x)?)?;
            x = (x + mixed)?;
        }
        for segment in segments {
            caches[segment.slot].len += segment.tokens.len();
        }
        self.norm.forward(&x)
    }

    /// Hidden states `[rows, hidden]` to logits `[rows, vocab]`.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.head.forward(hidden)
    }

    /// The model's shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The number format of weights, activations and KV cache.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Where it lives.
    pub fn device(&self) -> &Device {
        &self.device
    }

    fn pack(&self, segments: &[Segment<'_>], caches: &[KvCache]) -> Result<Packing> {
        let mut spans = Vec::with_capacity(segments.len());
        let mut start = 0;
        for segment in segments {
            let past = caches[segment.slot].len;
            spans.push(Span::new(segment.slot, start, segment.tokens.len(), past, &self.device)?);
            start += segment.tokens.len();
        }
        let positions: Vec<usize> = spans.iter().flat_map(Span::positions).collect();
        let (cos, sin) = self.shape.rope.angles(&positions, self.dtype, &self.device)?;
        Ok(Packing { spans, cos, sin })
    }
}

impl Layer {
    fn load(weights: &Weights, shape: &Shape) -> Result<Self> {
        let norm = |name: &str| RmsNorm::load(&weights.at(name), shape.hidden, shape.norm_eps);
        Ok(Self {
            attention_norm: norm("input_layernorm")?,
            attention: Attention::load(&weights.at("self_attn"), shape)?,
            mlp_norm: norm("post_attention_layernorm")?,
            mlp: GatedMlp::load(&weights.at("mlp"), shape)?,
        })
    }
}
