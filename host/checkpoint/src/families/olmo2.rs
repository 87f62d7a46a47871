//! OLMo 2 (arXiv 2501.00656): norms after attention and MLP, and on all of Q and of K.

use super::{Names, QueryNorm, Shape, llama};
use crate::{Config, Result};

pub(super) fn shape(config: &Config) -> Result<Shape> {
    let mut shape = llama::shape(config)?;
    shape.query_norm = QueryNorm::AllHeads;
    shape.mlp_bias = false;
    shape.names = Names {
        attention_in_norm: None,
        attention_out_norm: Some("post_attention_layernorm"),
        mlp_in_norm: None,
        mlp_out_norm: Some("post_feedforward_layernorm"),
        ..Names::LLAMA
    };
    Ok(shape)
}
