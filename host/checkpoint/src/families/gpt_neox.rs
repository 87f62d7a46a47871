//! GPT-NeoX and Pythia (arXiv 2204.06745, 2304.01373): LayerNorm, a rotary embedding of part of each
//! head, and in most attention beside the MLP.

use super::Activation;
use super::{MlpIn, Names, NormKind, Qkv, Shape, llama};
use crate::{Config, Result};

pub(super) fn shape(config: &Config) -> Result<Shape> {
    let mut shape = llama::shape(config)?;
    shape.norm = NormKind::Layer;
    shape.norm_eps = config.layer_norm_eps.unwrap_or(1e-5) as f32;
    shape.parallel = config.use_parallel_residual.unwrap_or(true);
    shape.activation = config.activation(Activation::Gelu)?;
    shape.qkv_bias = config.attention_bias.unwrap_or(true);
    shape.output_bias = shape.qkv_bias;
    shape.mlp_bias = true;
    shape.names = Names {
        base: "gpt_neox",
        embedding: "embed_in",
        norm: "final_layer_norm",
        head: "embed_out",
        qkv: Qkv::ByHead("attention.query_key_value"),
        output: "attention.dense",
        mlp_in: MlpIn::Plain("mlp.dense_h_to_4h"),
        mlp_out: "mlp.dense_4h_to_h",
        ..Names::LLAMA
    };
    Ok(shape)
}
