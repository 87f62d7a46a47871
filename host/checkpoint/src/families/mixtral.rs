//! Mixtral (arXiv 2401.04088): Mistral with experts instead of an MLP in every layer.

use super::{ExpertShape, NamingScheme, Shape, mistral};
use crate::{
    Config, Result,
    config::{ConfigClass, Field, RopeFields, RopeRule},
};

pub(super) const CLASS: ConfigClass = ConfigClass {
    model_type: "mixtral",
    name: "MixtralConfig",
    architecture: "MixtralForCausalLM",
    fields: &[
        Field::whole("vocab_size", 32_000),
        Field::whole("hidden_size", 4096),
        Field::whole("intermediate_size", 14_336),
        Field::whole("num_hidden_layers", 32),
        Field::whole("num_attention_heads", 32),
        Field::whole("num_key_value_heads", 8),
        Field::optional_whole("head_dim"),
        Field::text("hidden_act", "silu"),
        Field::whole("max_position_embeddings", 131_072),
        Field::number("rms_norm_eps", 1e-5).target("norm_eps"),
        Field::flag("tie_word_embeddings", false),
        Field::optional_whole("sliding_window"),
        Field::whole("num_local_experts", 8).aliases(&["num_experts"]),
        Field::whole("num_experts_per_tok", 2),
        Field::end_of_text(Some(2)),
    ],
    refused: &[],
    inert: &[],
    rope: RopeRule::Shared(RopeFields::new(1_000_000.0)),
};

pub(super) fn shape(config: &Config) -> Result<Shape> {
    let mut shape = mistral::shape(config)?;
    shape.experts = Some(ExpertShape {
        count: config.num_local_experts,
        active: config.num_experts_per_tok,
        intermediate: shape.intermediate,
        renormalise: true,
    });
    for layer in &mut shape.layer_kinds {
        layer.experts = true;
    }
    shape.names = NamingScheme {
        router: "block_sparse_moe.gate",
        experts: "block_sparse_moe.experts",
        expert: ["w1", "w3", "w2"],
        ..NamingScheme::LLAMA
    };
    Ok(shape)
}
