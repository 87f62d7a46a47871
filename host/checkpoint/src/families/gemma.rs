//! Gemma 2 (arXiv 2408.00118), and the text models of Gemma 3 (arXiv 2503.19786).

use super::{NamingScheme, NormKind, QueryKeyNorm, Shape, llama, mistral::set_windows};
use crate::{
    Config, Error, Result,
    config::{ConfigClass, Field, RefusedField, RopeFields, RopeRule},
};

const REFUSED: &[RefusedField] = &[RefusedField::unless_false(
    "use_bidirectional_attention",
    "this version's tokens see what comes before them, and never what follows",
)];

pub(super) const GEMMA2: ConfigClass = ConfigClass {
    model_type: "gemma2",
    name: "Gemma2Config",
    architecture: "Gemma2ForCausalLM",
    fields: &[
        Field::whole("vocab_size", 256_000),
        Field::whole("hidden_size", 2304),
        Field::whole("intermediate_size", 9216),
        Field::whole("num_hidden_layers", 26),
        Field::whole("num_attention_heads", 8),
        Field::whole("num_key_value_heads", 4),
        Field::whole("head_dim", 256),
        Field::text("hidden_activation", "gelu_pytorch_tanh").target("hidden_act"),
        Field::whole("max_position_embeddings", 8192),
        Field::number("rms_norm_eps", 1e-6).target("norm_eps"),
        Field::flag("tie_word_embeddings", true),
        Field::flag("attention_bias", false),
        Field::number("query_pre_attn_scalar", 256.0),
        Field::whole("sliding_window", 4096).or_null(),
        Field::text_list("layer_types"),
        Field::number("final_logit_softcapping", 30.0).or_null(),
        Field::number("attn_logit_softcapping", 50.0).or_null(),
        Field::end_of_text(Some(1)),
    ],
    refused: REFUSED,
    inert: &["hidden_act", "sliding_window_size"],
    rope: RopeRule::Shared(RopeFields::new(10_000.0)),
};

pub(super) const GEMMA3: ConfigClass = ConfigClass {
    model_type: "gemma3_text",
    name: "Gemma3TextConfig",
    architecture: "Gemma3ForCausalLM",
    fields: &[
        Field::whole("vocab_size", 262_208),
        Field::whole("hidden_size", 2304),
        Field::whole("intermediate_size", 9216),
        Field::whole("num_hidden_layers", 26),
        Field::whole("num_attention_heads", 8),
        Field::whole("num_key_value_heads", 4),
        Field::whole("head_dim", 256),
        Field::text("hidden_activation", "gelu_pytorch_tanh").target("hidden_act"),
        Field::whole("max_position_embeddings", 131_072),
        Field::number("rms_norm_eps", 1e-6).target("norm_eps"),
        Field::flag("tie_word_embeddings", true),
        Field::flag("attention_bias", false),
        Field::number("query_pre_attn_scalar", 256.0),
        Field::whole("sliding_window", 4096).or_null(),
        Field::whole("sliding_window_pattern", 6),
        Field::text_list("layer_types"),
        Field::optional_number("final_logit_softcapping"),
        Field::optional_number("attn_logit_softcapping"),
        Field::end_of_text(Some(1)),
    ],
    refused: REFUSED,
    // transformers 4.5x saves the pattern under a second name, beside the layer_types that it derived from the pattern.
    inert: &["_sliding_window_pattern", "hidden_act"],
    rope: RopeRule::ByLayerKind,
};

/// Derives the common part of Gemma 2 and Gemma 3: norms before and after attention and MLP, GeGLU, and embeddings that
/// are multiplied by `sqrt(hidden_size)`. `is_windowed` says which layers are windowed if `config.json` does not.
fn common_shape(config: &Config, is_windowed: impl Fn(usize) -> bool) -> Result<Shape> {
    let mut shape = llama::shape(config)?;
    shape.norm = NormKind::RmsPlusOne;
    // transformers rounds this factor to the model's number format. In f32 it does not change.
    shape.embedding_scale = (config.hidden_size as f32).sqrt();
    shape.attention_scale = config.query_pre_attn_scalar.powf(-0.5) as f32;
    shape.attention_softcap = config.attn_logit_softcapping.map(|cap| cap as f32);
    shape.logit_softcap = config.final_logit_softcapping.map(|cap| cap as f32);
    shape.names = NamingScheme::SANDWICH;
    set_windows(config, &mut shape, config.windowed_layers(is_windowed)?)?;
    Ok(shape)
}

/// Derives the shape of Gemma 2: every other layer is windowed, beginning with the first. Scores and logits have soft
/// caps.
pub(super) fn gemma2(config: &Config) -> Result<Shape> {
    common_shape(config, |layer| layer.is_multiple_of(2))
}

/// Derives the shape of Gemma 3: five windowed layers are followed by one with full attention. The two kinds of layers
/// have different rotary embeddings.
pub(super) fn gemma3(config: &Config) -> Result<Shape> {
    let pattern = config.sliding_window_pattern;
    if pattern == 0 && config.layer_types.is_none() {
        return Err(Error::Invalid(
            "sliding_window_pattern is 0 and must be above 0: one layer in so many sees everything"
                .to_owned(),
        ));
    }
    let mut shape = common_shape(config, |layer| !(layer + 1).is_multiple_of(pattern))?;
    for layer in &mut shape.layer_kinds {
        layer.rope = Some(usize::from(layer.window.is_some()));
    }
    shape.query_norm = QueryKeyNorm::EachHead;
    Ok(shape)
}
