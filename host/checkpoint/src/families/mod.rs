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

pub use rope::Rope;
pub use shape::{Activation, Experts, LayerKind, MlpIn, Names, NormKind, Qkv, QueryNorm, Shape};

use crate::{Config, Error, Result, text_file};
use std::path::Path;

/// A family: the architecture it serves and how it reads its config.
struct Family {
    architecture: &'static str,
    shape: fn(&Config) -> Result<Shape>,
    /// Whether there are as many key and value heads as query heads, of width hidden / heads, whatever else the config
    /// says: transformers' classes of GPT-2 and GPT-NeoX read neither `num_key_value_heads` nor `head_dim`.
    equal_heads: bool,
}

impl Family {
    const fn new(architecture: &'static str, shape: fn(&Config) -> Result<Shape>) -> Self {
        Self { architecture, shape, equal_heads: false }
    }

    const fn with_equal_heads(self) -> Self {
        Self { equal_heads: true, ..self }
    }
}

const FAMILIES: &[Family] = &[
    Family::new("LlamaForCausalLM", llama::shape),
    Family::new("MistralForCausalLM", mistral::shape),
    Family::new("MixtralForCausalLM", mixtral::shape),
    Family::new("Qwen2ForCausalLM", qwen::qwen2),
    Family::new("Qwen3ForCausalLM", qwen::qwen3),
    Family::new("Qwen3MoeForCausalLM", qwen::qwen3_moe),
    Family::new("Gemma2ForCausalLM", gemma::gemma2),
    Family::new("Gemma3ForCausalLM", gemma::gemma3),
    Family::new("Phi3ForCausalLM", phi3::shape),
    Family::new("Olmo2ForCausalLM", olmo2::shape),
    Family::new("GPT2LMHeadModel", gpt2::shape).with_equal_heads(),
    Family::new("GPTNeoXForCausalLM", gpt_neox::shape).with_equal_heads(),
];

/// What a `config.json` says, and the shape that it describes; `path` is for messages. The architecture is looked
/// at first, for another family's file may lack the fields that ours need.
pub fn parse(text: &str, path: &Path) -> Result<(Config, Shape)> {
    let json: serde_json::Value = text_file::parse(text, path)?;
    let architecture = json["architectures"][0].as_str().unwrap_or("none");
    find(architecture).map_err(|reason| Error::file(path, reason))?;
    of_json(json, path)
}

/// The same of a `config.json` that is JSON already.
pub fn of_json(json: serde_json::Value, path: &Path) -> Result<(Config, Shape)> {
    let bad = |reason: String| Error::file(path, reason);
    let mut config = Config::from_json(json, path)?;
    let family = find(config.architectures.first().map_or("none", String::as_str)).map_err(bad)?;
    if family.equal_heads {
        (config.num_key_value_heads, config.head_dim) = (None, None);
    }
    config.check().map_err(bad)?;
    let mut shape = (family.shape)(&config).map_err(|error| error.in_file(path))?;
    shape.modules = shape.names.modules();
    shape.check().map_err(bad)?;
    Ok((config, shape))
}

/// The family of an architecture; the reason where this version has none.
fn find(architecture: &str) -> std::result::Result<&'static Family, String> {
    FAMILIES.iter().find(|family| family.architecture == architecture).ok_or_else(|| {
        let known: Vec<_> = FAMILIES.iter().map(|family| family.architecture).collect();
        format!(
            "unknown architecture '{architecture}' in \"architectures\"; this version runs {}",
            known.join(", ")
        )
    })
}
