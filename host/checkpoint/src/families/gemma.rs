//! Gemma 2 (arXiv 2408.00118) and the text models of Gemma 3 (arXiv 2503.19786).

use super::{Names, NormKind, QueryNorm, Shape, llama, mistral::set_windows};
use crate::{
    Config, Error, Result,
    config::{Class, Field, OneRope, Refused, RopeRule},
};

const REFUSED: &[Refused] = &[Refused::unless_false(
    "use_bidirectional_attention",
    "this version's tokens see what comes before them, and never what follows",
)];

pub(super) const GEMMA2: Class = Class {
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
        Field::texts("layer_types"),
        Field::number("final_logit_softcapping", 30.0).or_null(),
        Field::number("attn_logit_softcapping", 50.0).or_null(),
        Field::end_of_text(Some(1)),
    ],
    refused: REFUSED,
    inert: &["hidden_act", "sliding_window_size"],
    rope: RopeRule::One(OneRope::new(10_000.0)),
};

pub(super) const GEMMA3: Class = Class {
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
        Field::texts("layer_types"),
        Field::optional_number("final_logit_softcapping"),
        Field::optional_number("attn_logit_softcapping"),
        Field::end_of_text(Some(1)),
    ],
    refused: REFUSED,
    // transformers 4.5x saves the pattern under a second name, beside the layer_types that it made of it.
    inert: &["_sliding_window_pattern", "hidden_act"],
    rope: RopeRule::ByKind,
};

/// What both share: norms around attention and MLP, GeGLU, embeddings scaled by sqrt(hidden), and windows in the
/// layers that `is_sliding` names where config.json does not.
fn common(config: &Config, is_sliding: impl Fn(usize) -> bool) -> Result<Shape> {
    let mut shape = llama::shape(config)?;
    shape.norm = NormKind::RmsPlusOne;
    // transformers rounds the factor to the model's own format; in f32 nothing changes.
    shape.embedding_scale = (config.hidden_size as f32).sqrt();
    shape.attention_scale = config.query_pre_attn_scalar.powf(-0.5) as f32;
    shape.attention_softcap = config.attn_logit_softcapping.map(|cap| cap as f32);
    shape.logit_softcap = config.final_logit_softcapping.map(|cap| cap as f32);
    shape.names = Names::SANDWICH;
    set_windows(config, &mut shape, config.windowed_layers(is_sliding)?)?;
    Ok(shape)
}

/// Every other layer windowed, the first one included; soft caps on scores and logits.
pub(super) fn gemma2(config: &Config) -> Result<Shape> {
    common(config, |layer| layer.is_multiple_of(2))
}

/// Five windowed layers to one that sees everything, each kind with a rotary base of its own.
pub(super) fn gemma3(config: &Config) -> Result<Shape> {
    let pattern = config.sliding_window_pattern;
    if pattern == 0 && config.layer_types.is_none() {
        return Err(Error::Invalid(
            "sliding_window_pattern is 0 and must be above 0: one layer in so many sees everything"
                .to_owned(),
        ));
    }
    let mut shape = common(config, |layer| !(layer + 1).is_multiple_of(pattern))?;
    for layer in &mut shape.layer_kinds {
        layer.rope = Some(usize::from(layer.window.is_some()));
    }
    shape.query_norm = QueryNorm::EachHead;
    Ok(shape)
}
