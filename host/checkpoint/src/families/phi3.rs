//! Phi-3 and Phi-4-mini (arXiv 2404.14219): Mistral with Q, K and V in one tensor, and gate and up in one tensor. Some
//! models rotate only a part of each head.

use super::{MlpIn, NamingScheme, Qkv, Shape, mistral};
use crate::{
    Config, Result,
    config::{ConfigClass, Field, RopeFields, RopeRule},
};

pub(super) const CLASS: ConfigClass = ConfigClass {
    model_type: "phi3",
    name: "Phi3Config",
    architecture: "Phi3ForCausalLM",
    fields: &[
        Field::whole("vocab_size", 32_064),
        Field::whole("hidden_size", 3072),
        Field::whole("intermediate_size", 8192),
        Field::whole("num_hidden_layers", 32),
        Field::whole("num_attention_heads", 32),
        Field::optional_whole("num_key_value_heads"),
        Field::optional_whole("head_dim"),
        Field::text("hidden_act", "silu"),
        Field::whole("max_position_embeddings", 4096),
        Field::number("rms_norm_eps", 1e-5).target("norm_eps"),
        Field::flag("tie_word_embeddings", false),
        Field::optional_whole("sliding_window"),
        Field::end_of_text(Some(32_000)),
    ],
    refused: &[],
    // These fields belong to Phi-3's own code. The class does not have them.
    inert: &["attention_bias", "full_attn_mod", "interpolate_factor", "lm_head_bias", "mlp_bias"],
    rope: RopeRule::Shared(RopeFields {
        share: Some(("partial_rotary_factor", 1.0)),
        original: Some(4096.0),
        is_longrope: true,
        ..RopeFields::new(10_000.0)
    }),
};

pub(super) fn shape(config: &Config) -> Result<Shape> {
    let mut shape = mistral::shape(config)?;
    shape.names = NamingScheme {
        qkv: Qkv::Stacked("self_attn.qkv_proj"),
        mlp_in: MlpIn::GatedStacked("mlp.gate_up_proj"),
        ..NamingScheme::LLAMA
    };
    Ok(shape)
}
