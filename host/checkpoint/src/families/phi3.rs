//! Phi-3 and Phi-4-mini (arXiv 2404.14219): Llama with Q, K, V and gate, up stacked, a sliding window,
//! and in some a rotary embedding of part of each head.

use super::{MlpIn, Names, Qkv, Shape, mistral};
use crate::{
    Config, Result,
    config::{Class, Field, OneRope, RopeRule},
};

pub(super) const CLASS: Class = Class {
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
    // Fields of Phi-3's own code, which the class does not have.
    inert: &["attention_bias", "full_attn_mod", "interpolate_factor", "lm_head_bias", "mlp_bias"],
    rope: RopeRule::One(OneRope {
        share: Some(("partial_rotary_factor", 1.0)),
        original: Some(4096.0),
        is_longrope: true,
        ..OneRope::new(10_000.0)
    }),
};

pub(super) fn shape(config: &Config) -> Result<Shape> {
    let mut shape = mistral::shape(config)?;
    shape.names = Names {
        qkv: Qkv::Stacked("self_attn.qkv_proj"),
        mlp_in: MlpIn::GatedStacked("mlp.gate_up_proj"),
        ..Names::LLAMA
    };
    Ok(shape)
}
