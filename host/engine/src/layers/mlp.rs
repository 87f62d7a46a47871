//! The gated MLP of Llama and its kin (SwiGLU, arXiv 2002.05202).

use super::Linear;
use crate::{Result, families::Shape, load::Weights};
use candle_core::Tensor;

/// `down(silu(gate(x)) · up(x))`
pub struct GatedMlp {
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl GatedMlp {
    /// Loads `gate_proj`, `up_proj` and `down_proj`.
    pub fn load(weights: &Weights, shape: &Shape) -> Result<Self> {
        let (hidden, inner, bias) = (shape.hidden, shape.intermediate, shape.mlp_bias);
        Ok(Self {
            gate: Linear::load(&weights.at("gate_proj"), hidden, inner, bias)?,
            up: Linear::load(&weights.at("up_proj"), hidden, inner, bias)?,
            down: Linear::load(&weights.at("down_proj"), inner, hidden, bias)?,
        })
    }

    /// `[rows, hidden]` to the same.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let gated = (candle_nn::ops::silu(&self.gate.forward(x)?)? * self.up.forward(x)?)?;
        self.down.forward(&gated)
    }
}
