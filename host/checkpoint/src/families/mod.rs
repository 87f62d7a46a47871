//! The table of model families. A family says how a `config.json` becomes a decoder's [`Shape`]; the
//! decoder itself is assembled from the parts in `layers`.
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

mod architecture;
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

pub use rope::{Rope, RopeRange};
pub use shape::{Experts, LayerKind, MlpIn, Names, NormKind, Qkv, QueryNorm, Shape};

use crate::{
    Config, Error, Result,
    config::{self, Class},
};
use architecture::Found;
use serde_json::Value;
use std::path::Path;

/// A family: its config class, and how a config becomes a shape.
struct Family {
    class: &'static Class,
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

/// The families' config classes.
#[cfg(test)]
pub(crate) fn classes() -> impl Iterator<Item = &'static Class> {
    FAMILIES.iter().map(|family| family.class)
}

/// What a `config.json` says, and the shape that it describes; `path` is for messages.
///
/// # Errors
/// It is no JSON, of no family that this version runs, or a field of it is not what its class holds.
pub fn parse(text: &str, path: &Path) -> Result<(Config, Shape)> {
    of_json(config::parse(text, path)?, path)
}

/// The same of what is JSON already: what a GGUF file says, in the words of a `config.json`.
///
/// # Errors
/// As [`parse`].
pub fn of_json(json: Value, path: &Path) -> Result<(Config, Shape)> {
    let bad = |reason: String| Error::file(path, reason);
    let Value::Object(fields) = json else {
        return Err(bad("is not a JSON object: fetch it again".to_owned()));
    };
    let Found { family, fields, warnings } = architecture::find(fields).map_err(bad)?;
    let mut config = Config::read(family.class, &fields).map_err(bad)?;
    config.warnings.extend(warnings);
    config.check(family.class).map_err(bad)?;
    let mut shape = (family.shape)(&config).map_err(|error| error.in_file(path))?;
    shape.modules = shape.names.modules();
    let reached = shape.ropes.iter().map(|rope| rope.context(shape.context));
    shape.context = reached.max().unwrap_or(shape.context);
    shape.check().map_err(bad)?;
    Ok((config, shape))
}
