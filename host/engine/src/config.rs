//! `config.json` of a Hugging Face model folder, as the files on the Hub spell it.
//!
//! Defaults for absent fields are those of transformers' `LlamaConfig`.

use crate::{DType, Error, Result};
use serde::Deserialize;
use std::path::Path;

/// The fields that decide a decoder's shape. Unknown fields are ignored, as transformers does.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Class names; the first decides the family.
    #[serde(default)]
    pub architectures: Vec<String>,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; absent means one for each query head.
    pub num_key_value_heads: Option<usize>,
    /// Width of a head; absent means hidden / heads.
    pub head_dim: Option<usize>,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Longest sequence the model was made for.
    #[serde(default = "default_context")]
    pub max_position_embeddings: usize,
    /// Epsilon of the RMS norms.
    #[serde(default = "default_eps")]
    pub rms_norm_eps: f64,
    /// RoPE base (transformers before 5 keeps it here).
    pub rope_theta: Option<f64>,
    /// RoPE scaling (transformers before 5).
    pub rope_scaling: Option<RopeParameters>,
    /// RoPE base and scaling together (transformers 5).
    pub rope_parameters: Option<RopeParameters>,
    /// Whether the LM head is the embedding.
    #[serde(default)]
    pub tie_word_embeddings: bool,
    /// Biases on Q, K, V and O.
    #[serde(default)]
    pub attention_bias: bool,
    /// Biases in the MLP.
    #[serde(default)]
    pub mlp_bias: bool,
    /// Activation of the MLP's gate.
    #[serde(default = "default_activation")]
    pub hidden_act: String,
    /// Tokens that end a sequence.
    pub eos_token_id: Option<TokenIds>,
    /// Format of the checkpoint (transformers 5).
    pub dtype: Option<String>,
    /// Format of the checkpoint (transformers before 5).
    pub torch_dtype: Option<String>,
}

/// How rotary frequencies are made. Which fields apply depends on the type.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RopeParameters {
    /// `default`, `linear`, `llama3`. Older files call it `type`.
    #[serde(alias = "type")]
    pub rope_type: Option<String>,
    /// Base of the frequencies.
    pub rope_theta: Option<f64>,
    /// By how much the context is stretched.
    pub factor: Option<f64>,
    /// llama3: wavelengths above original / this are stretched wholly.
    pub low_freq_factor: Option<f64>,
    /// llama3: wavelengths below original / this are left alone.
    pub high_freq_factor: Option<f64>,
    /// llama3: the context that the model was first trained for.
    pub original_max_position_embeddings: Option<f64>,
}

/// One id or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum TokenIds {
    /// `"eos_token_id": 2`
    One(u32),
    /// `"eos_token_id": [128001, 128009]`
    Many(Vec<u32>),
}

impl TokenIds {
    /// All of them.
    pub fn to_vec(&self) -> Vec<u32> {
        match self {
            Self::One(id) => vec![*id],
            Self::Many(ids) => ids.clone(),
        }
    }
}

/// `generation_config.json`. Only what ends a sequence is taken from it: a measurement's sampling
/// is the script's to choose, never a file's.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct GenerationConfig {
    /// Tokens that end a sequence; goes before the config's.
    pub eos_token_id: Option<TokenIds>,
}

fn default_context() -> usize {
    2048
}

fn default_eps() -> f64 {
    1e-6
}

fn default_activation() -> String {
    "silu".to_owned()
}

impl Config {
    /// Reads a `config.json` that is already JSON and checks that its numbers go together; `path`
    /// is for messages.
    pub fn from_json(json: serde_json::Value, path: &Path) -> Result<Self> {
        let config: Self =
            serde_json::from_value(json).map_err(|error| Error::file(path, error.to_string()))?;
        config.check().map_err(|reason| Error::file(path, reason))?;
        Ok(config)
    }

    fn check(&self) -> std::result::Result<(), String> {
        for (name, value) in [
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.kv_heads()),
            ("vocab_size", self.vocab_size),
            ("max_position_embeddings", self.max_position_embeddings),
        ] {
            if value == 0 {
                return Err(format!("{name} must be above 0"));
            }
        }
        if !self.num_attention_heads.is_multiple_of(self.kv_heads()) {
            return Err(format!(
                "num_attention_heads ({}) is not a multiple of num_key_value_heads ({})",
                self.num_attention_heads,
                self.kv_heads()
            ));
        }
        if self.head_dim.is_none() && !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!(
                "hidden_size ({}) is not a multiple of num_attention_heads ({}) and head_dim is absent",
                self.hidden_size, self.num_attention_heads
            ));
        }
        if !self.head_dim().is_multiple_of(2) {
            return Err(format!("head_dim ({}) must be even for RoPE", self.head_dim()));
        }
        Ok(())
    }

    /// Key and value heads.
    pub fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Width of a head.
    pub fn head_dim(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// The checkpoint's own number format; f32 where the file names none.
    pub fn dtype(&self) -> Result<DType> {
        self.dtype
            .as_ref()
            .or(self.torch_dtype.as_ref())
            .map_or(Ok(DType::F32), |name| name.parse())
    }

    /// RoPE's parameters wherever the file keeps them.
    pub fn rope(&self) -> RopeParameters {
        let mut rope =
            self.rope_parameters.clone().or_else(|| self.rope_scaling.clone()).unwrap_or_default();
        rope.rope_theta = rope.rope_theta.or(self.rope_theta);
        rope
    }
}

/// Reads a text file, naming it when that fails.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| Error::file(path, error.to_string()))
}
