//! A matrix product with a weight: the one place where adapters and shards will attach.

use super::bf16;
use crate::{Result, load::Weights};
use candle_core::{DType, Tensor};

/// `y = x Wᵀ + b`, with `W` as checkpoints keep it: `[out, in]`.
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Loads `weight` (and `bias`) under the prefix that `weights` stands at.
    pub fn load(weights: &Weights, inputs: usize, outputs: usize, bias: bool) -> Result<Self> {
        let weight = weights.get("weight", &[outputs, inputs])?;
        let bias = bias.then(|| weights.get("bias", &[outputs])).transpose()?;
        Ok(Self { weight, bias })
    }

    /// A product with a weight that is already there (a tied head).
    pub fn tied(weight: Tensor) -> Self {
        Self { weight, bias: None }
    }

    /// `[rows, in]` to `[rows, out]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = if x.device().is_cpu() && x.dtype() == DType::BF16 {
            x.contiguous()?.apply_op2_no_bwd(&self.weight, &bf16::Product)?
        } else {
            x.matmul(&self.weight.t()?)?
        };
        Ok(match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        })
    }
}
