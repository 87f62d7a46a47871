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
mod shape;

pub use shape::{Experts, LayerKind, MlpIn, Names, NormKind, Qkv, QueryNorm, Shape};

use crate::{Config, Error, Result};
use std::path::Path;

/// A family: the architectures it serves and how it reads their config.
struct Family {
    architecture: &'static str,
    shape: fn(&Config) -> Result<Shape>,
}

const FAMILIES: &[Family] = &[
    Family { architecture: "LlamaForCausalLM", shape: llama::shape },
    Family { architecture: "MistralForCausalLM", shape: mistral::shape },
    Family { architecture: "MixtralForCausalLM", shape: mixtral::shape },
    Family { architecture: "Qwen2ForCausalLM", shape: qwen::qwen2 },
    Family { architecture: "Qwen3ForCausalLM", shape: qwen::qwen3 },
    Family { architecture: "Qwen3MoeForCausalLM", shape: qwen::qwen3_moe },
    Family { architecture: "Gemma2ForCausalLM", shape: gemma::gemma2 },
    Family { architecture: "Gemma3ForCausalLM", shape: gemma::gemma3 },
    Family { architecture: "Phi3ForCausalLM", shape: phi3::shape },
    Family { architecture: "Olmo2ForCausalLM", shape: olmo2::shape },
    Family { architecture: "GPT2LMHeadModel", shape: gpt2::shape },
    Family { architecture: "GPTNeoXForCausalLM", shape: gpt_neox::shape },
];

fn find(architecture: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.architecture == architecture)
}

/// Parses a `config.json`; `path` is for messages. The architecture is looked at first, for another
/// family's file may lack the fields that ours need.
pub fn parse_config(text: &str, path: &Path) -> Result<Config> {
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| Error::file(path, error.to_string()))?;
    let architecture = json["architectures"][0].as_str().unwrap_or("none");
    check(architecture).map_err(|reason| Error::file(path, reason))?;
    Config::from_json(json, path)
}

/// Whether a family has as many key and value heads as query heads, of width hidden / heads, whatever
/// else its config says: transformers' classes of GPT-2 and GPT-NeoX read neither `num_key_value_heads`
/// nor `head_dim`.
pub(crate) fn has_equal_heads(config: &Config) -> bool {
    let architecture = config.architectures.first().map_or("", String::as_str);
    matches!(architecture, "GPT2LMHeadModel" | "GPTNeoXForCausalLM")
}

/// Whether the engine has the family of an architecture; the reason where it has not.
fn check(architecture: &str) -> std::result::Result<(), String> {
    find(architecture).map(|_| ()).ok_or_else(|| {
        let known: Vec<_> = FAMILIES.iter().map(|family| family.architecture).collect();
        format!(
            "unknown architecture '{architecture}' in \"architectures\"; this version runs {}",
            known.join(", ")
        )
    })
}

/// The shape of the model that a config describes.
pub fn shape(config: &Config) -> Result<Shape> {
    let architecture = config.architectures.first().map_or("none", String::as_str);
    let family = find(architecture)
        .ok_or_else(|| Error::Unsupported(check(architecture).err().unwrap_or_default()))?;
    (family.shape)(config)
}
