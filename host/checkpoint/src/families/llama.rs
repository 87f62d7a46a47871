//! Llama 1 to 3 (arXiv 2302.13971, 2307.09288, 2407.21783): pre-norm RMSNorm, RoPE, GQA, SwiGLU.
//! What most other families start from.

use super::Activation;
use super::{LayerKind, Names, NormKind, QueryNorm, Rope, Shape};
use crate::{Config, Result};

pub(super) fn shape(config: &Config) -> Result<Shape> {
    let mut shape = without_rope(config)?;
    shape.ropes = vec![Rope::new(&config.rope(None), config.head_dim())?];
    for layer in &mut shape.layer_kinds {
        layer.rope = Some(0);
    }
    Ok(shape)
}

/// The same without a rotary embedding, for which heads need not have an even width.
pub(super) fn without_rope(config: &Config) -> Result<Shape> {
    Ok(Shape {
        hidden: config.hidden_size,
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        kv_heads: config.kv_heads(),
        head_dim: config.head_dim(),
        intermediate: config.intermediate_size(),
        vocab: config.vocab_size,
        context: config.max_position_embeddings,
        norm: NormKind::Rms,
        norm_eps: config.rms_norm_eps.unwrap_or(1e-6) as f32,
        parallel: false,
        ropes: Vec::new(),
        layer_kinds: vec![
            LayerKind { window: None, rope: None, experts: false };
            config.num_hidden_layers
        ],
        query_norm: QueryNorm::None,
        attention_scale: 1.0 / (config.head_dim() as f32).sqrt(),
        attention_softcap: None,
        logit_softcap: None,
        embedding_scale: 1.0,
        activation: config.activation(Activation::Silu)?,
        experts: None,
        qkv_bias: config.attention_bias.unwrap_or(false),
        output_bias: config.attention_bias.unwrap_or(false),
        mlp_bias: config.mlp_bias,
        tied_head: config.tie_word_embeddings.unwrap_or(false),
        names: Names::LLAMA,
        modules: Names::LLAMA,
    })
}
