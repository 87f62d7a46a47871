//! GPT-2 (Radford et al., 2019): LayerNorm before, learned positions, GELU, projections kept
//! transposed.

use super::Activation;
use super::{MlpIn, Names, NormKind, Qkv, Shape, llama};
use crate::{Config, Error, Result};

pub(super) fn shape(config: &Config) -> Result<Shape> {
    if config.scale_attn_by_inverse_layer_idx {
        return Err(Error::Unsupported(
            "scale_attn_by_inverse_layer_idx is set: this version scales all layers alike"
                .to_owned(),
        ));
    }
    let mut shape = llama::without_rope(config)?;
    shape.norm = NormKind::Layer;
    shape.norm_eps = config.layer_norm_eps.unwrap_or(1e-5) as f32;
    shape.activation = config.activation(Activation::GeluTanh)?;
    shape.qkv_bias = true;
    shape.output_bias = true;
    shape.mlp_bias = true;
    shape.tied_head = config.tie_word_embeddings.unwrap_or(true);
    shape.names = Names {
        base: "transformer",
        embedding: "wte",
        positions: Some("wpe"),
        layers: "h",
        norm: "ln_f",
        attention_in_norm: Some("ln_1"),
        mlp_in_norm: Some("ln_2"),
        qkv: Qkv::Stacked("attn.c_attn"),
        output: "attn.c_proj",
        mlp_in: MlpIn::Plain("mlp.c_fc"),
        mlp_out: "mlp.c_proj",
        transposed: true,
        ..Names::LLAMA
    };
    Ok(shape)
}
