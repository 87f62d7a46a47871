//! `config.json` of a Hugging Face model folder, as the files on the Hub spell it.
//!
//! What an absent field means is for the family to say (`families`), as in transformers each has a
//! config class of its own.

mod ranges;

pub(crate) use ranges::within;

use crate::{Error, Format, Result, families::Activation, text_file};
use serde::Deserialize;
use std::path::Path;

/// The fields that decide a decoder's shape, over all families. Unknown fields are ignored, as
/// transformers does; a field that a family needs and does not find is asked for by name.
#[derive(Clone, Debug, Deserialize)]
pub struct Config {
    /// Class names; the first decides the family.
    #[serde(default)]
    pub architectures: Vec<String>,
    /// Width of the residual stream.
    #[serde(alias = "n_embd")]
    pub hidden_size: usize,
    /// Width of the MLP; absent means four times hidden.
    #[serde(alias = "n_inner")]
    pub intermediate_size: Option<usize>,
    /// Decoder layers.
    #[serde(alias = "n_layer")]
    pub num_hidden_layers: usize,
    /// Query heads.
    #[serde(alias = "n_head")]
    pub num_attention_heads: usize,
    /// Key and value heads; absent means one for each query head.
    pub num_key_value_heads: Option<usize>,
    /// Width of a head; absent means hidden / heads.
    pub head_dim: Option<usize>,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Longest sequence the model was made for.
    #[serde(alias = "n_positions", default = "default_context")]
    pub max_position_embeddings: usize,
    /// Epsilon of RMS norms.
    pub rms_norm_eps: Option<f64>,
    /// Epsilon of layer norms.
    #[serde(alias = "layer_norm_epsilon")]
    pub layer_norm_eps: Option<f64>,
    /// RoPE base (transformers before 5 keeps it here).
    #[serde(alias = "rotary_emb_base")]
    pub rope_theta: Option<f64>,
    /// RoPE base of Gemma 3's windowed layers (transformers before 5).
    pub rope_local_base_freq: Option<f64>,
    /// Share of a head that is rotated (transformers before 5).
    #[serde(alias = "rotary_pct")]
    pub partial_rotary_factor: Option<f64>,
    /// RoPE scaling (transformers before 5).
    pub rope_scaling: Option<RopeParameters>,
    /// RoPE base and scaling together (transformers 5).
    pub rope_parameters: Option<RopeByLayer>,
    /// Whether the LM head is the embedding.
    pub tie_word_embeddings: Option<bool>,
    /// Biases on Q, K, V and O.
    pub attention_bias: Option<bool>,
    /// Biases in the MLP.
    #[serde(default)]
    pub mlp_bias: bool,
    /// Activation of the MLP. Gemma and GPT-2 have names of their own for it.
    pub hidden_act: Option<String>,
    /// Goes before `hidden_act`.
    pub hidden_activation: Option<String>,
    /// GPT-2's name of it.
    pub activation_function: Option<String>,
    /// Keys that a query sees in windowed layers.
    pub sliding_window: Option<usize>,
    /// Qwen: whether there are windowed layers.
    #[serde(default)]
    pub use_sliding_window: bool,
    /// Qwen: layers from this one on are windowed.
    pub max_window_layers: Option<usize>,
    /// Gemma 3: one layer in so many sees everything.
    #[serde(alias = "_sliding_window_pattern")]
    pub sliding_window_pattern: Option<usize>,
    /// `full_attention` or `sliding_attention`, one a layer.
    pub layer_types: Option<Vec<String>>,
    /// Gemma: scores are divided by the root of this.
    pub query_pre_attn_scalar: Option<f64>,
    /// Gemma 2: soft cap of scores.
    pub attn_logit_softcapping: Option<f32>,
    /// Gemma 2: soft cap of logits.
    pub final_logit_softcapping: Option<f32>,
    /// GPT-NeoX: whether attention and MLP stand side by side.
    pub use_parallel_residual: Option<bool>,
    /// GPT-2: scales each layer's scores differently.
    #[serde(default)]
    pub scale_attn_by_inverse_layer_idx: bool,
    /// Experts of a layer.
    #[serde(alias = "num_experts")]
    pub num_local_experts: Option<usize>,
    /// Experts that a token goes to.
    pub num_experts_per_tok: Option<usize>,
    /// Width of an expert.
    pub moe_intermediate_size: Option<usize>,
    /// Whether the chosen experts' weights are made to sum to 1.
    #[serde(default)]
    pub norm_topk_prob: bool,
    /// Every so many layers has experts.
    pub decoder_sparse_step: Option<usize>,
    /// Layers without experts.
    #[serde(default)]
    pub mlp_only_layers: Vec<usize>,
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
    /// `default`, `linear`, `llama3` or `yarn`. Older files call it `type`.
    #[serde(alias = "type")]
    pub rope_type: Option<String>,
    /// Base of the frequencies.
    pub rope_theta: Option<f64>,
    /// Share of a head that is rotated.
    pub partial_rotary_factor: Option<f64>,
    /// By how much the context is stretched.
    pub factor: Option<f64>,
    /// llama3: wavelengths above original / this are stretched wholly.
    pub low_freq_factor: Option<f64>,
    /// llama3: wavelengths below original / this are left alone.
    pub high_freq_factor: Option<f64>,
    /// llama3 and yarn: the context that the model was first trained for.
    pub original_max_position_embeddings: Option<f64>,
    /// yarn: rotations over the original context above which a frequency is left alone.
    pub beta_fast: Option<f64>,
    /// yarn: rotations below which it is stretched wholly.
    pub beta_slow: Option<f64>,
    /// yarn: cosines and sines are multiplied by this.
    pub attention_factor: Option<f64>,
}

/// One set of parameters for all layers, or one for each kind of layer.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "RoPE's parameters, or those of each kind of layer")]
pub enum RopeByLayer {
    /// Gemma 3.
    ByKind {
        /// Layers that see everything.
        full_attention: RopeParameters,
        /// Windowed layers.
        sliding_attention: RopeParameters,
    },
    /// Everyone else.
    One(RopeParameters),
}

/// One id or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a token id, or a list of them")]
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

impl Config {
    /// Reads a `config.json` that is already JSON; `path` is for messages. Its numbers are to be checked.
    pub(crate) fn from_json(json: serde_json::Value, path: &Path) -> Result<Self> {
        text_file::of_json(json, path)
    }

    /// Key and value heads.
    pub fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Width of a head.
    pub fn head_dim(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// Width of the MLP.
    pub fn intermediate_size(&self) -> usize {
        self.intermediate_size.unwrap_or(self.hidden_size.saturating_mul(4))
    }

    /// The MLP's activation, or the family's own where the file names none.
    pub fn activation(&self, default: Activation) -> Result<Activation> {
        let named = self.hidden_activation.as_ref().or(self.hidden_act.as_ref());
        let Some(name) = named.or(self.activation_function.as_ref()) else {
            return Ok(default);
        };
        match name.as_str() {
            "silu" | "swish" => Ok(Activation::Silu),
            "gelu" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Activation::GeluTanh),
            other => Err(Error::Unsupported(format!(
                "activation '{other}' is not supported; this version has silu, gelu and gelu_new"
            ))),
        }
    }

    /// Whether `layer_types` says that a layer is windowed; none where it says nothing.
    pub fn is_sliding(&self, layer: usize) -> Option<bool> {
        Some(self.layer_types.as_ref()?.get(layer)? == "sliding_attention")
    }

    /// A field that the family cannot do without.
    pub fn required<T>(&self, field: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| Error::Invalid(format!("the field {field} is missing")))
    }

    /// The checkpoint's own number format; f32 where the file names none.
    pub fn format(&self) -> Result<Format> {
        self.dtype
            .as_ref()
            .or(self.torch_dtype.as_ref())
            .map_or(Ok(Format::F32), |name| name.parse())
    }

    /// RoPE's parameters wherever the file keeps them; of one kind of layer where kinds differ.
    pub fn rope(&self, kind: Option<&str>) -> RopeParameters {
        let sliding = kind == Some("sliding_attention");
        let mut rope = match &self.rope_parameters {
            Some(RopeByLayer::ByKind { sliding_attention, .. }) if sliding => {
                sliding_attention.clone()
            }
            Some(RopeByLayer::ByKind { full_attention, .. }) => full_attention.clone(),
            Some(RopeByLayer::One(rope)) => rope.clone(),
            // Before transformers 5, Gemma 3 stretched only the layers that see everything.
            None if sliding => RopeParameters {
                rope_theta: Some(self.rope_local_base_freq.unwrap_or(10_000.0)),
                ..RopeParameters::default()
            },
            None => self.rope_scaling.clone().unwrap_or_default(),
        };
        rope.rope_theta = rope.rope_theta.or(self.rope_theta);
        rope.partial_rotary_factor = rope.partial_rotary_factor.or(self.partial_rotary_factor);
        rope.original_max_position_embeddings =
            rope.original_max_position_embeddings.or(Some(self.max_position_embeddings as f64));
        rope
    }
}
