//! Qwen2 (arXiv 2407.10671), Qwen3 and its mixture of experts (arXiv 2505.09388).

use super::{Experts, QueryNorm, Shape, llama};
use crate::{Config, Result};

/// Llama with biases on Q, K and V, and windows in the layers above `max_window_layers`.
pub(super) fn qwen2(config: &Config) -> Result<Shape> {
    let mut shape = llama::shape(config)?;
    shape.qkv_bias = true;
    shape.output_bias = false;
    shape.mlp_bias = false;
    if config.use_sliding_window {
        let first_windowed = config.max_window_layers.unwrap_or(28);
        for (index, layer) in shape.layer_kinds.iter_mut().enumerate() {
            let windowed = config.is_sliding(index).unwrap_or(index >= first_windowed);
            layer.window = config.sliding_window.filter(|_| windowed);
        }
    }
    Ok(shape)
}

/// Qwen2 with norms on Q and K in place of the biases.
pub(super) fn qwen3(config: &Config) -> Result<Shape> {
    let mut shape = qwen2(config)?;
    shape.qkv_bias = config.attention_bias.unwrap_or(false);
    shape.output_bias = shape.qkv_bias;
    shape.query_norm = QueryNorm::EachHead;
    Ok(shape)
}

/// Qwen3 with experts in every layer but those named.
pub(super) fn qwen3_moe(config: &Config) -> Result<Shape> {
    let mut shape = qwen3(config)?;
    shape.experts = Some(Experts {
        count: config.required("num_experts", config.num_local_experts)?,
        active: config.required("num_experts_per_tok", config.num_experts_per_tok)?,
        intermediate: config.required("moe_intermediate_size", config.moe_intermediate_size)?,
        renormalise: config.norm_topk_prob,
    });
    for (index, layer) in shape.layer_kinds.iter_mut().enumerate() {
        layer.experts = !config.mlp_only_layers.contains(&index)
            && (index + 1).is_multiple_of(config.decoder_sparse_step.unwrap_or(1).max(1));
    }
    Ok(shape)
}
