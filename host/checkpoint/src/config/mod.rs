//! `config.json` of a Hugging Face model folder, read as the config classes of transformers 5 read it.
//!
//! Each family has a table of its class's fields ([`Class`]): how published files spell them, what absent ones are, and
//! which values ask for what this version does not compute. [`Config`] is what comes of it, under one set of names.
//! Start at [`Class::read`], [`RopeRule`] and `families`, where the tables are.

mod activation;
mod class;
mod generation;
mod known;
mod ranges;
mod rope;
#[cfg(test)]
mod tests;
mod value;

pub use activation::Activation;
pub use class::{Class, Field, Refused};
pub use generation::{GenerationConfig, TokenIds};
pub(crate) use ranges::within;
pub use rope::{OneRope, RopeParameters, RopeRule};
pub use value::parse;

use crate::{Error, Format, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The fields that decide a decoder's shape, over all families. What a file leaves out has its class's default; what
/// a class does not have is `None`, false, 0 or empty.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Config {
    /// The class of its language model in transformers.
    pub architecture: String,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the MLP; `None` means four times hidden.
    pub intermediate_size: Option<usize>,
    /// Decoder layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; `None` means one for each query head.
    pub num_key_value_heads: Option<usize>,
    /// Width of a head; `None` means hidden / heads.
    pub head_dim: Option<usize>,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Longest sequence the model was made for.
    pub max_position_embeddings: usize,
    /// Epsilon of the norms.
    pub norm_eps: f64,
    /// Rotary embeddings: none, one, or that of layers that see everything and that of windowed ones.
    pub ropes: Vec<RopeParameters>,
    /// Whether the LM head is the embedding.
    pub tie_word_embeddings: bool,
    /// Biases on Q, K, V and O.
    pub attention_bias: bool,
    /// Biases in the MLP.
    pub mlp_bias: bool,
    /// Activation of the MLP.
    pub hidden_act: String,
    /// Keys that a query sees in windowed layers.
    pub sliding_window: Option<usize>,
    /// Qwen: whether there are windowed layers.
    pub use_sliding_window: bool,
    /// Qwen: layers from this one on are windowed.
    pub max_window_layers: usize,
    /// Gemma 3: one layer in so many sees everything.
    pub sliding_window_pattern: usize,
    /// `full_attention` or `sliding_attention`, one a layer; `None` where the class has a rule.
    pub layer_types: Option<Vec<String>>,
    /// Gemma: scores are divided by the root of this.
    pub query_pre_attn_scalar: f64,
    /// Gemma: soft cap of scores.
    pub attn_logit_softcapping: Option<f64>,
    /// Gemma: soft cap of logits.
    pub final_logit_softcapping: Option<f64>,
    /// GPT-NeoX: whether attention and MLP stand side by side.
    pub use_parallel_residual: bool,
    /// GPT-2: whether scores are divided by the root of a head's width.
    pub scale_attn_weights: bool,
    /// Experts of a layer.
    pub num_local_experts: usize,
    /// Experts that a token goes to.
    pub num_experts_per_tok: usize,
    /// Width of an expert.
    pub moe_intermediate_size: usize,
    /// Whether the chosen experts' weights are made to sum to 1.
    pub norm_topk_prob: bool,
    /// Every so many layers has experts.
    pub decoder_sparse_step: usize,
    /// Layers without experts.
    pub mlp_only_layers: Option<Vec<usize>>,
    /// Tokens that end a sequence.
    pub eos_token_id: Option<TokenIds>,
    /// Format of the checkpoint.
    pub dtype: Option<String>,
    /// What the file says that has no effect here and may be meant to have one: a sentence each.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

impl Config {
    /// What a file of a class says. Its numbers are to be checked.
    ///
    /// # Errors
    /// The reason why a field is not what the class holds, or asks for what this version does not compute.
    pub fn read(class: &Class, json: &Map<String, Value>) -> std::result::Result<Self, String> {
        let fields = class.read(json)?;
        let mut config: Self =
            serde_json::from_value(fields.into()).map_err(|error| error.to_string())?;
        config.architecture = class.architecture.to_owned();
        config.warnings = class.warnings(json);
        let positions = config.max_position_embeddings;
        config.ropes = class.rope.read(json, positions, &mut config.warnings)?;
        config.dtype = format_name(json)?;
        Ok(config)
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

    /// The MLP's activation.
    ///
    /// # Errors
    /// This version does not have it.
    pub fn activation(&self) -> Result<Activation> {
        Activation::named(&self.hidden_act)
    }

    /// Whether each layer is windowed: as `layer_types` says, or by the class's rule.
    ///
    /// # Errors
    /// `layer_types` is not one kind of attention a layer.
    pub fn windowed_layers(&self, rule: impl Fn(usize) -> bool) -> Result<Vec<bool>> {
        let layers = self.num_hidden_layers;
        let Some(types) = &self.layer_types else { return Ok((0..layers).map(rule).collect()) };
        if types.len() != layers {
            return Err(Error::Invalid(format!(
                "layer_types names {} layers and num_hidden_layers is {layers}: one of them is wrong",
                types.len()
            )));
        }
        let is_windowed = |name: &String| match name.as_str() {
            "sliding_attention" => Ok(true),
            // The older name is from before attention had kinds.
            "full_attention" | "attention" => Ok(false),
            other => Err(Error::Unsupported(format!(
                "layer_types names '{other}'; this version has full_attention and sliding_attention"
            ))),
        };
        types.iter().map(is_windowed).collect()
    }

    /// The checkpoint's own number format; f32 where the file names none.
    ///
    /// # Errors
    /// It is not a format of floats that this version computes in.
    pub fn format(&self) -> Result<Format> {
        self.dtype.as_ref().map_or(Ok(Format::F32), |name| name.parse())
    }
}

/// The checkpoint's number format; before transformers 5 it was `torch_dtype`.
fn format_name(json: &Map<String, Value>) -> std::result::Result<Option<String>, String> {
    let named = ["dtype", "torch_dtype"].into_iter().find_map(|name| {
        let value = json.get(name).filter(|value| !value.is_null())?;
        Some((name, value))
    });
    let text = |(name, value): (&str, &Value)| {
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| format!("{name} is {} and must be a string", value::shown(value)))
    };
    named.map(text).transpose()
}
