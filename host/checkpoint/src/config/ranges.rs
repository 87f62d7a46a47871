//! Checks that the numbers of a `config.json` are in a sensible range. They decide the sizes of allocations, loops and
//! shifts, and a file can contain anything. The limits are far above the numbers of any published model.

use super::{Config, ConfigClass, RopeParameters};

/// The largest number of layers. Published models have up to about 130.
const MAX_LAYERS: usize = 1 << 12;
/// The largest number of heads of one kind, and of experts of a layer.
const MAX_HEADS: usize = 1 << 14;
/// The largest width of the residual stream, and of a head.
const MAX_WIDTH: usize = 1 << 20;
/// The largest width of an MLP.
const MAX_MLP_WIDTH: usize = 1 << 22;
/// The largest number of rows of the embedding.
const MAX_VOCABULARY: usize = 1 << 26;
/// The largest number of positions. A position is stored in 32 bits.
const MAX_POSITIONS: usize = u32::MAX as usize;

/// Why the numbers of a `config.json` are refused. Fields have the names of their class.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RangeError {
    /// A whole number is too small or too large.
    #[error("{name} is {value} and must be from {least} to {most}")]
    OutOfRange {
        /// The name of the field.
        name: &'static str,
        /// The value in the file.
        value: usize,
        /// The smallest accepted value.
        least: usize,
        /// The largest accepted value.
        most: usize,
    },

    /// A number is 0, is negative, or is not finite in 32 bits.
    #[error("{name} is {value} and must be above 0 and finite in 32 bits")]
    NotPositive {
        /// The name of the field.
        name: &'static str,
        /// The value in the file.
        value: f64,
    },

    /// Query heads cannot be shared out evenly among key and value heads.
    #[error("num_attention_heads ({heads}) is not a multiple of num_key_value_heads ({kv_heads})")]
    UnevenGroups {
        /// The number of query heads.
        heads: usize,
        /// The number of key and value heads.
        kv_heads: usize,
    },

    /// The width of a head is absent, and the model's width cannot be divided evenly among the heads.
    #[error(
        "hidden_size ({hidden}) is not a multiple of num_attention_heads ({heads}) and head_dim is absent"
    )]
    UnevenHeads {
        /// The width of the residual stream.
        hidden: usize,
        /// The number of query heads.
        heads: usize,
    },

    /// The two limits of the rope type llama3 are in the wrong order.
    #[error("low_freq_factor ({low}) must be less than high_freq_factor ({high})")]
    FrequencyFactors {
        /// The value of `low_freq_factor`.
        low: f64,
        /// The value of `high_freq_factor`.
        high: f64,
    },
}

/// Checks that a number is in `least..=most`. `name` is the name of the field.
pub(crate) fn check_range(
    name: &'static str,
    value: usize,
    [least, most]: [usize; 2],
) -> Result<(), RangeError> {
    match value >= least && value <= most {
        true => Ok(()),
        false => Err(RangeError::OutOfRange { name, value, least, most }),
    }
}

impl Config {
    /// Checks that the numbers are in range and consistent.
    pub(crate) fn check(&self, class: &ConfigClass) -> Result<(), RangeError> {
        let head_dim = match self.head_dim {
            Some(_) => "head_dim",
            None => "hidden_size / num_attention_heads",
        };
        for (name, value, most) in [
            ("hidden_size", self.hidden_size, MAX_WIDTH),
            ("intermediate_size", self.intermediate_size(), MAX_MLP_WIDTH),
            ("num_hidden_layers", self.num_hidden_layers, MAX_LAYERS),
            ("num_attention_heads", self.num_attention_heads, MAX_HEADS),
            ("num_key_value_heads", self.kv_heads(), MAX_HEADS),
            (head_dim, self.head_dim(), MAX_WIDTH),
            ("vocab_size", self.vocab_size, MAX_VOCABULARY),
            ("max_position_embeddings", self.max_position_embeddings, MAX_POSITIONS),
        ] {
            check_range(class.name_of(name), value, [1, most])?;
        }
        for (name, value, most) in [
            ("num_local_experts", self.num_local_experts, MAX_HEADS),
            ("num_experts_per_tok", self.num_experts_per_tok, MAX_HEADS),
            ("moe_intermediate_size", self.moe_intermediate_size, MAX_MLP_WIDTH),
            ("max_window_layers", self.max_window_layers, MAX_POSITIONS),
            ("sliding_window", self.sliding_window.unwrap_or(0), MAX_POSITIONS),
        ] {
            check_range(class.name_of(name), value, [0, most])?;
        }
        let has = |name: &str| class.fields.iter().any(|field| field.target == name);
        for (name, value) in [
            ("norm_eps", Some(self.norm_eps)),
            ("query_pre_attn_scalar", Some(self.query_pre_attn_scalar)),
            ("attn_logit_softcapping", self.attn_logit_softcapping),
            ("final_logit_softcapping", self.final_logit_softcapping),
        ] {
            check_positive(class.name_of(name), value.filter(|_| has(name)))?;
        }
        self.ropes.iter().try_for_each(RopeParameters::check)?;
        self.check_heads()
    }

    fn check_heads(&self) -> Result<(), RangeError> {
        let (heads, kv_heads) = (self.num_attention_heads, self.kv_heads());
        if !heads.is_multiple_of(kv_heads) {
            return Err(RangeError::UnevenGroups { heads, kv_heads });
        }
        if self.head_dim.is_none() && !self.hidden_size.is_multiple_of(heads) {
            return Err(RangeError::UnevenHeads { hidden: self.hidden_size, heads });
        }
        Ok(())
    }
}

impl RopeParameters {
    fn check(&self) -> Result<(), RangeError> {
        for (name, value) in [
            ("rope_theta", self.rope_theta),
            ("factor", self.factor),
            ("low_freq_factor", self.low_freq_factor),
            ("high_freq_factor", self.high_freq_factor),
            ("original_max_position_embeddings", self.original_max_position_embeddings),
            ("beta_fast", self.beta_fast),
            ("beta_slow", self.beta_slow),
            ("attention_factor", self.attention_factor),
        ] {
            check_positive(name, value)?;
        }
        match (self.low_freq_factor, self.high_freq_factor) {
            (Some(low), Some(high)) if low >= high => {
                Err(RangeError::FrequencyFactors { low, high })
            }
            _ => Ok(()),
        }
    }
}

/// Checks that a number, if there is one, is above 0 and finite in 32 bits. `name` is the name of the field.
fn check_positive(name: &'static str, value: Option<f64>) -> Result<(), RangeError> {
    let is_positive = |value: f64| value as f32 > 0.0 && (value as f32).is_finite();
    match value.filter(|&value| !is_positive(value)) {
        Some(value) => Err(RangeError::NotPositive { name, value }),
        None => Ok(()),
    }
}
