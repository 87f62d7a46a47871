//! What the numbers of a `config.json` may be. They size allocations, loops and shifts, and a file may say
//! anything. The limits are far above any published model's.

use super::{Class, Config, RopeParameters};
use std::fmt::Display;

/// Layers. Published models have up to some 130.
const MOST_LAYERS: usize = 1 << 12;
/// Heads of one kind, and experts of a layer.
const MOST_HEADS: usize = 1 << 14;
/// Width of the residual stream, and of a head.
const WIDEST: usize = 1 << 20;
/// Width of an MLP.
const WIDEST_MLP: usize = 1 << 22;
/// Rows of the embedding.
const LARGEST_VOCABULARY: usize = 1 << 26;
/// Positions, which are 32 bits wide.
const LONGEST: usize = u32::MAX as usize;

/// The reason why a number is not one of `least..=most`.
pub fn within<T: PartialOrd + Display>(
    name: &str,
    value: T,
    [least, most]: [T; 2],
) -> Result<(), String> {
    match value >= least && value <= most {
        true => Ok(()),
        false => Err(format!("{name} is {value} and must be from {least} to {most}")),
    }
}

impl Config {
    /// The reason why its numbers are not a model's, or do not go together, in its class's words.
    pub fn check(&self, class: &Class) -> Result<(), String> {
        let head_dim = match self.head_dim {
            Some(_) => "head_dim",
            None => "hidden_size / num_attention_heads",
        };
        for (name, value, most) in [
            ("hidden_size", self.hidden_size, WIDEST),
            ("intermediate_size", self.intermediate_size(), WIDEST_MLP),
            ("num_hidden_layers", self.num_hidden_layers, MOST_LAYERS),
            ("num_attention_heads", self.num_attention_heads, MOST_HEADS),
            ("num_key_value_heads", self.kv_heads(), MOST_HEADS),
            (head_dim, self.head_dim(), WIDEST),
            ("vocab_size", self.vocab_size, LARGEST_VOCABULARY),
            ("max_position_embeddings", self.max_position_embeddings, LONGEST),
        ] {
            within(class.name_of(name), value, [1, most])?;
        }
        for (name, value, most) in [
            ("num_local_experts", self.num_local_experts, MOST_HEADS),
            ("num_experts_per_tok", self.num_experts_per_tok, MOST_HEADS),
            ("moe_intermediate_size", self.moe_intermediate_size, WIDEST_MLP),
            ("max_window_layers", self.max_window_layers, LONGEST),
            ("sliding_window", self.sliding_window.unwrap_or(0), LONGEST),
        ] {
            within(class.name_of(name), value, [0, most])?;
        }
        let has = |name: &str| class.fields.iter().any(|field| field.target == name);
        for (name, value) in [
            ("norm_eps", Some(self.norm_eps)),
            ("query_pre_attn_scalar", Some(self.query_pre_attn_scalar)),
            ("attn_logit_softcapping", self.attn_logit_softcapping),
            ("final_logit_softcapping", self.final_logit_softcapping),
        ] {
            positive(class.name_of(name), value.filter(|_| has(name)))?;
        }
        self.ropes.iter().try_for_each(RopeParameters::check)?;
        self.check_heads()
    }

    fn check_heads(&self) -> Result<(), String> {
        let (heads, keys) = (self.num_attention_heads, self.kv_heads());
        if !heads.is_multiple_of(keys) {
            return Err(format!(
                "num_attention_heads ({heads}) is not a multiple of num_key_value_heads ({keys})"
            ));
        }
        if self.head_dim.is_none() && !self.hidden_size.is_multiple_of(heads) {
            return Err(format!(
                "hidden_size ({}) is not a multiple of num_attention_heads ({heads}) and head_dim is absent",
                self.hidden_size
            ));
        }
        Ok(())
    }
}

impl RopeParameters {
    fn check(&self) -> Result<(), String> {
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
            positive(name, value)?;
        }
        match (self.low_freq_factor, self.high_freq_factor) {
            (Some(low), Some(high)) if low >= high => {
                Err(format!("low_freq_factor ({low}) must be less than high_freq_factor ({high})"))
            }
            _ => Ok(()),
        }
    }
}

/// The reason why a number that is there is not above 0, or is none in 32 bits.
fn positive(name: &str, value: Option<f64>) -> Result<(), String> {
    let is_positive = |value: f64| value as f32 > 0.0 && (value as f32).is_finite();
    match value.filter(|&value| !is_positive(value)) {
        Some(value) => Err(format!("{name} is {value} and must be above 0 and finite in 32 bits")),
        None => Ok(()),
    }
}
