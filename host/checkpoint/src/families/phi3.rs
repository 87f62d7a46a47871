//! Phi-3 and Phi-4-mini (arXiv 2404.14219): Llama with Q, K, V and gate, up stacked, a sliding window,
//! and in some a rotary embedding of part of each head.

use super::{MlpIn, Names, Qkv, Shape, mistral};
use crate::{Config, Result};

pub(super) fn shape(config: &Config) -> Result<Shape> {
    let mut shape = mistral::shape(config)?;
    shape.mlp_bias = false;
    shape.names = Names {
        qkv: Qkv::Stacked("self_attn.qkv_proj"),
        mlp_in: MlpIn::GatedStacked("mlp.gate_up_proj"),
        ..Names::LLAMA
    };
    Ok(shape)
}
