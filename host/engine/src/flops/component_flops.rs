//! The operations of each component of a model.

use std::ops::{Add, Mul};

/// The operations of a pass or of a phase by component, in FLOP.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ComponentFlops {
    /// Query, key, value and output projections.
    pub attention_projections: f64,
    /// Attention scores and weighted values.
    pub attention: f64,
    /// MLP projections, experts and their router.
    pub mlp: f64,
    /// The product of hidden states with the LM head.
    pub lm_head: f64,
    /// The low-rank factors of an unmerged adapter.
    pub adapter: f64,
}

impl ComponentFlops {
    /// Returns the sum over all components, in FLOP.
    pub fn total(&self) -> f64 {
        self.attention_projections + self.attention + self.mlp + self.lm_head + self.adapter
    }
}

impl Add for ComponentFlops {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            attention_projections: self.attention_projections + other.attention_projections,
            attention: self.attention + other.attention,
            mlp: self.mlp + other.mlp,
            lm_head: self.lm_head + other.lm_head,
            adapter: self.adapter + other.adapter,
        }
    }
}

impl Mul<f64> for ComponentFlops {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self {
            attention_projections: self.attention_projections * factor,
            attention: self.attention * factor,
            mlp: self.mlp * factor,
            lm_head: self.lm_head * factor,
            adapter: self.adapter * factor,
        }
    }
}
