//! Llama 1 to 3 (arXiv 2302.13971, 2307.09288, 2407.21783): pre-norm RMSNorm, RoPE, GQA, SwiGLU.

use super::Shape;
use crate::{Config, Error, Result, layers::rope::Rope};

pub(super) fn shape(config: &Config) -> Result<Shape> {
    if config.hidden_act != "silu" {
        return Err(Error::Unsupported(format!(
            "hidden_act '{}' in config.json: Llama models use silu",
            config.hidden_act
        )));
    }
    Ok(Shape {
        hidden: config.hidden_size,
        layers: config.num_hidden_layers,
        heads: config.num_attention_heads,
        kv_heads: config.kv_heads(),
        head_dim: config.head_dim(),
        intermediate: config.intermediate_size,
        vocab: config.vocab_size,
        context: config.max_position_embeddings,
        norm_eps: config.rms_norm_eps,
        rope: Rope::new(&config.rope(), config.head_dim())?,
        qkv_bias: config.attention_bias,
        output_bias: config.attention_bias,
        mlp_bias: config.mlp_bias,
        tied_head: config.tie_word_embeddings,
    })
}
