//! Mixtral (arXiv 2401.04088): Mistral with experts in place of every MLP.

use super::{Experts, Names, Shape, mistral};
use crate::{Config, Result};

pub(super) fn shape(config: &Config) -> Result<Shape> {
    let mut shape = mistral::shape(config)?;
    shape.experts = Some(Experts {
        count: config.required("num_local_experts", config.num_local_experts)?,
        active: config.required("num_experts_per_tok", config.num_experts_per_tok)?,
        intermediate: shape.intermediate,
        renormalise: true,
    });
    for layer in &mut shape.layer_kinds {
        layer.experts = true;
    }
    shape.names = Names {
        router: "block_sparse_moe.gate",
        experts: "block_sparse_moe.experts",
        expert: ["w1", "w3", "w2"],
        ..Names::LLAMA
    };
    Ok(shape)
}
