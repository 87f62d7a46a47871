//! The model families. A family says how a `config.json` becomes a decoder's [`Shape`]. The decoder itself is
//! assembled by the engine.
//!
//! Start at [`Shape`], [`parse`] and `llama.rs`. To add a family, write a file beside `llama.rs` and add it to
//! `FAMILIES`.
//!
//! | family | norms | positions | attention | MLP |
//! |---|---|---|---|---|
//! | Llama, Mistral | RMS before | rotary | Mistral: sliding window | SwiGLU |
//! | Qwen2 | RMS before | rotary | biases; windows in upper layers | SwiGLU |
//! | Qwen3 | RMS before | rotary | norms on Q and K of each head | SwiGLU, or experts |
//! | Gemma 2 | RMS (1 + w) around | rotary | every other layer windowed, soft caps | GeGLU |
//! | Gemma 3 | RMS (1 + w) around | rotary, two bases | Q and K norms, 5 of 6 layers windowed | GeGLU |
//! | Phi-3 | RMS before | rotary, partial | one QKV tensor, sliding window | SwiGLU, one tensor |
//! | OLMo 2 | RMS after | rotary | norms on Q and K of all heads | SwiGLU |
//! | Mixtral | RMS before | rotary | sliding window | 8 experts, 2 a token |
//! | GPT-2 | LayerNorm before | learned | one QKV tensor | GELU |
//! | GPT-NeoX | LayerNorm before | rotary, partial | beside the MLP | GELU |

mod family_match;
mod gemma;
mod gpt2;
mod gpt_neox;
mod llama;
mod mistral;
mod mixtral;
mod olmo2;
mod phi3;
mod qwen;
mod rope;
mod shape;

pub use rope::{MixedFrequenciesError, Rope, RopeRange};
pub use shape::{ExpertShape, LayerKind, MlpIn, NamingScheme, NormKind, Qkv, QueryKeyNorm, Shape};

use crate::{
    Config, Error, Result,
    config::{self, ConfigClass},
};
use family_match::FamilyMatch;
use serde_json::Value;
use std::path::Path;

/// A model family: its config class, and the function that derives a shape from a config.
struct Family {
    class: &'static ConfigClass,
    shape: fn(&Config) -> Result<Shape>,
}

const FAMILIES: &[Family] = &[
    Family { class: &llama::CLASS, shape: llama::shape },
    Family { class: &mistral::CLASS, shape: mistral::shape },
    Family { class: &mixtral::CLASS, shape: mixtral::shape },
    Family { class: &qwen::QWEN2, shape: qwen::qwen2 },
    Family { class: &qwen::QWEN3, shape: qwen::qwen3 },
    Family { class: &qwen::QWEN3_MOE, shape: qwen::qwen3_moe },
    Family { class: &gemma::GEMMA2, shape: gemma::gemma2 },
    Family { class: &gemma::GEMMA3, shape: gemma::gemma3 },
    Family { class: &phi3::CLASS, shape: phi3::shape },
    Family { class: &olmo2::CLASS, shape: olmo2::shape },
    Family { class: &gpt2::CLASS, shape: gpt2::shape },
    Family { class: &gpt_neox::CLASS, shape: gpt_neox::shape },
];

/// Returns the config classes of all families.
#[cfg(test)]
pub(crate) fn classes() -> impl Iterator<Item = &'static ConfigClass> {
    FAMILIES.iter().map(|family| family.class)
}

/// Parses the text of a `config.json` and derives the decoder's shape from it. Messages name `path`.
///
/// # Errors
/// Returns an error if the text is not JSON, if this version does not run the family, or if a field has a wrong value.
pub(crate) fn parse(text: &str, path: &Path) -> Result<(Config, Shape)> {
    from_json(config::parse(text, path)?, path)
}

/// Derives config and shape from parsed JSON. A GGUF file's metadata are read in this way, after a translation to the
/// fields of a `config.json`. Messages name `path`.
///
/// # Errors
/// Returns the errors of [`parse`].
pub(crate) fn from_json(json: Value, path: &Path) -> Result<(Config, Shape)> {
    let Value::Object(fields) = json else {
        return Err(Error::file(path, "is not a JSON object: fetch it again"));
    };
    let FamilyMatch { family, fields, warnings } =
        family_match::find(fields).map_err(|cause| Error::file(path, cause.to_string()))?;
    let mut config = Config::read(family.class, &fields)
        .map_err(|cause| Error::file(path, cause.to_string()))?;
    config.warnings.extend(warnings);
    config.check(family.class).map_err(|cause| Error::file(path, cause.to_string()))?;
    let mut shape = (family.shape)(&config).map_err(|error| error.in_file(path))?;
    shape.modules = shape.names.module_names();
    let contexts = shape.ropes.iter().map(|rope| rope.context(shape.context));
    shape.context = contexts.max().unwrap_or(shape.context);
    shape.check().map_err(|cause| Error::file(path, cause.to_string()))?;
    Ok((config, shape))
}
