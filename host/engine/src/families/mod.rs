//! The table of model families. A family says how a `config.json` becomes a decoder's shape; the
//! decoder itself is assembled from the parts in `layers`.

mod llama;

use crate::{Config, Error, Result, layers::rope::Rope};
use std::path::Path;

/// A family: the architectures it serves and how it reads their config.
struct Family {
    architectures: &'static [&'static str],
    shape: fn(&Config) -> Result<Shape>,
}

const FAMILIES: &[Family] = &[Family { architectures: &["LlamaForCausalLM"], shape: llama::shape }];

/// All that the decoder needs to know of a model.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Width of the MLP.
    pub intermediate: usize,
    /// Rows of the embedding.
    pub vocab: usize,
    /// Longest sequence.
    pub context: usize,
    /// Epsilon of the norms.
    pub norm_eps: f64,
    /// Rotary frequencies.
    pub rope: Rope,
    /// Biases on Q, K and V.
    pub qkv_bias: bool,
    /// A bias on O.
    pub output_bias: bool,
    /// Biases in the MLP.
    pub mlp_bias: bool,
    /// Whether the LM head is the embedding.
    pub tied_head: bool,
}

fn find(architecture: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.architectures.contains(&architecture))
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

/// Whether the engine has the family of an architecture; the reason where it has not.
fn check(architecture: &str) -> std::result::Result<(), String> {
    find(architecture).map(|_| ()).ok_or_else(|| {
        let known: Vec<_> =
            FAMILIES.iter().flat_map(|family| family.architectures).copied().collect();
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
