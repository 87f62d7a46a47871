//! OLMo 2 (arXiv 2501.00656): Llama with norms after attention and MLP, and with norms over all heads of Q and of K.

use super::{NamingScheme, QueryKeyNorm, Shape, llama};
use crate::{
    Config, Result,
    config::{ConfigClass, Field, RopeFields, RopeRule},
};

pub(super) const CLASS: ConfigClass = ConfigClass {
    model_type: "olmo2",
    name: "Olmo2Config",
    architecture: "Olmo2ForCausalLM",
    fields: &[
        Field::whole("vocab_size", 50_304),
        Field::whole("hidden_size", 4096),
        Field::whole("intermediate_size", 11_008),
        Field::whole("num_hidden_layers", 32),
        Field::whole("num_attention_heads", 32),
        Field::optional_whole("num_key_value_heads"),
        Field::optional_whole("head_dim"),
        Field::text("hidden_act", "silu"),
        Field::whole("max_position_embeddings", 2048),
        Field::number("rms_norm_eps", 1e-5).target("norm_eps"),
        Field::flag("tie_word_embeddings", false),
        Field::flag("attention_bias", false),
        Field::end_of_text(Some(50_279)),
    ],
    refused: &[],
    inert: &[],
    rope: RopeRule::Shared(RopeFields::new(10_000.0)),
};

pub(super) fn shape(config: &Config) -> Result<Shape> {
    let mut shape = llama::shape(config)?;
    shape.query_norm = QueryKeyNorm::AllHeads;
    shape.names = NamingScheme {
        attention_in_norm: None,
        attention_out_norm: Some("post_attention_layernorm"),
        mlp_in_norm: None,
        mlp_out_norm: Some("post_feedforward_layernorm"),
        ..NamingScheme::LLAMA
    };
    Ok(shape)
}
