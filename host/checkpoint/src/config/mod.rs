//! `config.json` of a Hugging Face model folder, read as the config classes of transformers 5 read it.
//!
//! Each family has a table of its class's fields ([`ConfigClass`]): how published files spell them, their defaults, and
//! the values that this version cannot compute. Reading a file by that table gives a [`Config`], which has one set of
//! names for all families. The tables are in [`crate::families`].
//!
//! Start at [`Config`], [`ConfigClass::read`] and [`RopeRule`].

mod activation;
mod common_fields;
mod config_class;
mod field;
mod generation_config;
mod python_json;
mod ranges;
mod rope_parameters;
#[cfg(test)]
mod tests;

pub use activation::Activation;
pub(crate) use config_class::ConfigClass;
pub(crate) use field::{Field, RefusedField};
use field::{FieldTypeError, RefusedValueError};
pub(crate) use generation_config::GenerationConfig;
pub use generation_config::TokenIds;
pub(crate) use python_json::parse;
pub(crate) use ranges::{RangeError, check_range};
pub use rope_parameters::RopeParameters;
use rope_parameters::RopeParametersError;
pub(crate) use rope_parameters::{RopeFields, RopeRule};

use crate::{Error, FloatFormat, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The fields of a `config.json` that decide a decoder's shape, for all families.
///
/// A field that a file leaves out has the default of the family's class. A field that the class does not have is
/// `None`, `false`, 0 or empty.
///
/// ```
/// use llem_checkpoint::Preset;
///
/// let (config, _) = Preset::from_name("llama-3.1-8b").unwrap().config()?;
/// assert_eq!((config.num_hidden_layers, config.hidden_size), (32, 4096));
/// assert_eq!((config.kv_heads(), config.head_dim()), (8, 128));
/// assert_eq!(config.ropes[0].rope_theta, Some(500_000.0));
/// # Ok::<(), llem_checkpoint::Error>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Config {
    /// The name of the language model's class in transformers, such as `LlamaForCausalLM`.
    pub architecture: String,
    /// The width of the residual stream.
    pub hidden_size: usize,
    /// The width of the MLP. `None` means four times `hidden_size`.
    pub intermediate_size: Option<usize>,
    /// The number of decoder layers.
    pub num_hidden_layers: usize,
    /// The number of query heads.
    pub num_attention_heads: usize,
    /// The number of key and value heads. `None` means one for each query head.
    pub num_key_value_heads: Option<usize>,
    /// The width of a head. `None` means `hidden_size / num_attention_heads`.
    pub head_dim: Option<usize>,
    /// The number of rows of the embedding.
    pub vocab_size: usize,
    /// The length of the longest sequence that the model was made for, in tokens.
    pub max_position_embeddings: usize,
    /// The epsilon of the norms.
    pub norm_eps: f64,
    /// The rotary embeddings. The list is empty, or has one entry for all layers, or has one entry for layers with full
    /// attention and then one for windowed layers.
    pub ropes: Vec<RopeParameters>,
    /// Whether the LM head is the embedding's matrix.
    pub tie_word_embeddings: bool,
    /// Whether the projections Q, K, V and O have biases.
    pub attention_bias: bool,
    /// Whether the projections of the MLP have biases.
    pub mlp_bias: bool,
    /// The name of the MLP's activation.
    pub hidden_act: String,
    /// How many keys a query sees in windowed layers, itself included.
    pub sliding_window: Option<usize>,
    /// Qwen only: whether there are windowed layers.
    pub use_sliding_window: bool,
    /// Qwen only: the first windowed layer. All layers after it are windowed too.
    pub max_window_layers: usize,
    /// Gemma 3 only: one layer in this many has full attention.
    pub sliding_window_pattern: usize,
    /// `full_attention` or `sliding_attention` for each layer. `None` if the class has a rule.
    pub layer_types: Option<Vec<String>>,
    /// Gemma only: attention scores are divided by the square root of this number.
    pub query_pre_attn_scalar: f64,
    /// Gemma only: the soft cap of attention scores.
    pub attn_logit_softcapping: Option<f64>,
    /// Gemma only: the soft cap of logits.
    pub final_logit_softcapping: Option<f64>,
    /// GPT-NeoX only: whether attention and MLP both read the layer's input.
    pub use_parallel_residual: bool,
    /// GPT-2 only: whether attention scores are divided by the square root of a head's width.
    pub scale_attn_weights: bool,
    /// The number of experts in a layer.
    pub num_local_experts: usize,
    /// The number of experts that process a token.
    pub num_experts_per_tok: usize,
    /// The width of an expert.
    pub moe_intermediate_size: usize,
    /// Whether the weights of the chosen experts are normalised to the sum 1.
    pub norm_topk_prob: bool,
    /// One layer in this many has experts.
    pub decoder_sparse_step: usize,
    /// The indices of layers without experts.
    pub mlp_only_layers: Option<Vec<usize>>,
    /// The tokens that end a sequence.
    pub eos_token_id: Option<TokenIds>,
    /// The name of the checkpoint's number format.
    pub dtype: Option<String>,
    /// Sentences about fields that have no effect here, although their author may have expected one.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

/// Why the fields of a `config.json` cannot be read by their class.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A value has the wrong type.
    #[error(transparent)]
    FieldType(#[from] FieldTypeError),

    /// A value requests what this version cannot compute.
    #[error(transparent)]
    RefusedValue(#[from] RefusedValueError),

    /// The rotary embeddings have a wrong type or do not fit the family.
    #[error(transparent)]
    Rope(#[from] RopeParametersError),

    /// A number does not fit in the type that [`Config`] has for it.
    #[error(transparent)]
    Conversion(#[from] serde_json::Error),
}

impl Config {
    /// Reads the fields of a file by its class. The caller must check the numbers with [`Self::check`].
    ///
    /// # Errors
    /// Returns an error if a field has the wrong type, or requests what this version cannot compute.
    pub(crate) fn read(
        class: &ConfigClass,
        json: &Map<String, Value>,
    ) -> std::result::Result<Self, ConfigError> {
        let fields = class.read(json)?;
        let mut config: Self = serde_json::from_value(fields.into())?;
        config.architecture = class.architecture.to_owned();
        config.warnings = class.warnings(json);
        let positions = config.max_position_embeddings;
        config.ropes = class.rope.read(json, positions, &mut config.warnings)?;
        config.dtype = dtype_name(json)?;
        Ok(config)
    }

    /// Returns the number of key and value heads.
    pub fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Returns the width of a head.
    pub fn head_dim(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// Returns the width of the MLP.
    pub fn intermediate_size(&self) -> usize {
        self.intermediate_size.unwrap_or(self.hidden_size.saturating_mul(4))
    }

    /// Returns the activation of the MLP.
    ///
    /// # Errors
    /// Returns an error if this version does not have the activation.
    pub fn activation(&self) -> Result<Activation> {
        Activation::from_name(&self.hidden_act)
    }

    /// Returns for each layer whether it is windowed. `layer_types` decides, or `rule` (which takes the layer's
    /// index) if that field is absent.
    ///
    /// # Errors
    /// Returns an error if `layer_types` has the wrong length or an unknown kind of attention.
    pub(crate) fn windowed_layers(&self, rule: impl Fn(usize) -> bool) -> Result<Vec<bool>> {
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
            // "attention" is the older name, from before attention had kinds.
            "full_attention" | "attention" => Ok(false),
            other => Err(Error::Unsupported(format!(
                "layer_types names '{other}'; this version has full_attention and sliding_attention"
            ))),
        };
        types.iter().map(is_windowed).collect()
    }

    /// Returns the number format of a synthetic model: the one that the config names, otherwise f32. A model with files
    /// may also take the format of the files, see `checkpoint.rs`.
    ///
    /// # Errors
    /// Returns an error if the config names a format in which this version does not compute.
    pub(crate) fn format_of_synthetic(&self) -> Result<FloatFormat> {
        self.dtype.as_ref().map_or(Ok(FloatFormat::F32), |name| name.parse())
    }
}

/// Returns the name and the value of the field with the checkpoint's number format. transformers before version 5
/// called the field `torch_dtype`. Returns `None` if the file has neither field, or if both are `null`.
pub(crate) fn dtype_field(json: &Map<String, Value>) -> Option<(&'static str, &Value)> {
    ["dtype", "torch_dtype"].into_iter().find_map(|name| {
        let value = json.get(name).filter(|value| !value.is_null())?;
        Some((name, value))
    })
}

/// Returns the name of the checkpoint's number format, or `None` if the file names none.
fn dtype_name(json: &Map<String, Value>) -> std::result::Result<Option<String>, FieldTypeError> {
    let text = |(name, value): (&str, &Value)| {
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| FieldTypeError::new(name, value, "a string"))
    };
    dtype_field(json).map(text).transpose()
}
