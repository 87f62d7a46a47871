//! Root-mean-square layer normalisation (arXiv 1910.07467).

use crate::{Result, load::Weights};
use candle_core::Tensor;

/// `y = x / sqrt(mean(x²) + eps) · g`, the mean taken in f32 whatever the format.
pub struct RmsNorm {
    gain: Tensor,
    eps: f32,
}

impl RmsNorm {
    /// Loads `weight` `[width]` under the prefix that `weights` stands at.
    pub fn load(weights: &Weights, width: usize, eps: f64) -> Result<Self> {
        Ok(Self { gain: weights.get("weight", &[width])?, eps: eps as f32 })
    }

    /// `[rows, width]` to the same.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(candle_nn::ops::rms_norm(x, &self.gain, self.eps)?)
    }
}
