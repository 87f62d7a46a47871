//! Mistral (arXiv 2310.06825): Llama with a sliding window in every layer. In some models only the layers that the file
//! names are windowed; transformers calls these Ministral.

use super::{Shape, llama};
use crate::{
    Config, Error, Result,
    config::{ConfigClass, Field, RopeFields, RopeRule},
};

pub(super) const CLASS: ConfigClass = ConfigClass {
    model_type: "mistral",
    name: "MistralConfig",
    architecture: "MistralForCausalLM",
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
        Field::number("rms_norm_eps", 1e-6).target("norm_eps"),
        Field::flag("tie_word_embeddings", false),
        Field::whole("sliding_window", 4096).or_null(),
        Field::text_list("layer_types"),
        Field::end_of_text(Some(2)),
    ],
    refused: &[],
    inert: &[],
    rope: RopeRule::Shared(RopeFields::new(10_000.0)),
};

pub(super) fn shape(config: &Config) -> Result<Shape> {
    let mut shape = llama::shape(config)?;
    let windowed = config.windowed_layers(|_| config.sliding_window.is_some())?;
    set_windows(config, &mut shape, windowed)?;
    Ok(shape)
}

/// Sets the window of the windowed layers to the config's `sliding_window`.
pub(super) fn set_windows(config: &Config, shape: &mut Shape, windowed: Vec<bool>) -> Result<()> {
    for (layer, is_windowed) in shape.layer_kinds.iter_mut().zip(windowed) {
        if is_windowed && config.sliding_window.is_none() {
            return Err(Error::Invalid(
                "there are windowed layers and no sliding_window: give one (with use_sliding_window in Qwen's files), or make all layer_types full_attention"
                    .to_owned(),
            ));
        }
        layer.window = config.sliding_window.filter(|_| is_windowed);
    }
    Ok(())
}
