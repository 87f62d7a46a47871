//! What one adapter changes about one product: low-rank factors (LoRA, arXiv 2106.09685), magnitudes
//! (DoRA, arXiv 2402.09353), biases, and whole weights in place of the base model's.

mod load;

use super::{adapter_rows::RowSubset, low_rank::LowRank, weight::Weight};
use crate::{
    Result,
    kernels::{Activations, parallel::SharedRows},
    load::matrix::Matrix,
};
use candle_core::Tensor;
use std::ops::Range;

/// `y = g (W x + B A x) + b + s`, where `W x + b` is what the base model computes; of some output
/// features `y = W' x + b'` instead.
pub struct Change {
    low_rank: Option<LowRank>,
    /// DoRA's magnitudes over the norms of the rows of W + B A, `[outputs]`.
    gain: Option<Vec<f32>>,
    /// Added to the bias, `[outputs]`.
    shift: Option<Vec<f32>>,
    /// Added to `g (W x + b + B A x)`: the shift, and what the gain has taken of the bias.
    rest: Option<Vec<f32>>,
    /// What stands in place of the base model's weight.
    saved: Vec<Saved>,
    inputs: usize,
    outputs: usize,
    /// The vectors above on a device.
    tensors: Vectors,
}

/// Gain and rest on a device.
#[derive(Default)]
struct Vectors {
    gain: Option<Tensor>,
    rest: Option<Tensor>,
}

struct Saved {
    outputs: Range<usize>,
    matrix: Matrix,
    weight: Weight,
    bias: Option<Vec<f32>>,
    /// The bias on a device.
    bias_tensor: Option<Tensor>,
}

impl Change {
    /// Whether ranks work on it together, and so must come to it in the same order.
    pub fn is_shared(&self) -> bool {
        self.low_rank.as_ref().is_some_and(LowRank::is_shared)
    }

    /// Changes the rows of `y = W x + b` that `subset` names, on the CPU.
    ///
    /// # Safety
    /// `y` holds numbers, and no other thread touches those rows meanwhile.
    pub unsafe fn on_host(
        &self,
        x: &Activations<'_>,
        y: &SharedRows<'_, f32>,
        subset: &RowSubset,
    ) -> Result<()> {
        let (rows, gathered): (Vec<f32>, _);
        let x = if subset.is_whole {
            x
        } else {
            let row = |&row: &u32| &x.numbers[row as usize * self.inputs..][..self.inputs];
            rows = subset.rows.iter().flat_map(row).copied().collect();
            gathered = Activations::new(&rows, self.inputs);
            &gathered
        };
        if let Some(low_rank) = &self.low_rank {
            // SAFETY: the caller's.
            unsafe { low_rank.add_on_host(x, y, subset)? };
        }
        let parts = self.saved.iter().map(|saved| saved.weight.on_host(x, saved.bias.as_deref()));
        let parts: Vec<Vec<f32>> = parts.collect::<Result<_>>()?;
        if self.gain.is_none() && self.rest.is_none() && parts.is_empty() {
            return Ok(());
        }
        for (index, &row) in subset.rows.iter().enumerate() {
            // SAFETY: the caller's.
            let y = unsafe { y.numbers(row as usize * self.outputs, self.outputs) };
            if let Some(gain) = &self.gain {
                y.iter_mut().zip(gain).for_each(|(y, gain)| *y *= gain);
            }
            if let Some(rest) = &self.rest {
                y.iter_mut().zip(rest).for_each(|(y, rest)| *y += rest);
            }
            for (saved, part) in self.saved.iter().zip(&parts) {
                let width = saved.outputs.len();
                y[saved.outputs.clone()].copy_from_slice(&part[index * width..][..width]);
            }
        }
        Ok(())
    }

    /// `y = W x + b` with the rows changed that `subset` names, on a device.
    pub fn on_device(&self, x: &Tensor, y: Tensor, subset: &RowSubset) -> Result<Tensor> {
        let (x, mut new) = (subset.of(x)?, subset.of(&y)?);
        if let Some(low_rank) = &self.low_rank
            && let Some(sum) = low_rank.on_device(&x)?
        {
            new = (new + sum)?;
        }
        if let Some(gain) = &self.tensors.gain {
            new = new.broadcast_mul(gain)?;
        }
        if let Some(rest) = &self.tensors.rest {
            new = new.broadcast_add(rest)?;
        }
        for saved in &self.saved {
            let part = saved.weight.on_device(&x)?;
            let part = match &saved.bias_tensor {
                Some(bias) => part.broadcast_add(bias)?,
                None => part,
            };
            let (start, end) = (saved.outputs.start, saved.outputs.end);
            let before = new.narrow(1, 0, start)?;
            let after = new.narrow(1, end, self.outputs - end)?;
            new = Tensor::cat(&[before, part, after], 1)?;
        }
        subset.put(y, new)
    }

    /// The base matrix of some output features with this change in it.
    pub fn merged_matrix(&self, base: &Matrix, outputs: Range<usize>) -> Result<Matrix> {
        let gain = self.gain.as_ref().map(|gain| gain[outputs.clone()].to_vec());
        let mut merged = match &self.low_rank {
            Some(low_rank) => base.plus(low_rank.matrix(outputs.clone())?, gain)?,
            None => base.clone(),
        };
        for saved in &self.saved {
            let start = saved.outputs.start - outputs.start;
            merged = merged.with_rows(start, &saved.matrix)?;
        }
        Ok(merged)
    }

    /// The base bias of some output features with this change in it.
    pub fn merged_bias(&self, base: Option<&[f32]>, outputs: Range<usize>) -> Option<Vec<f32>> {
        let saved_bias = self.saved.iter().any(|saved| saved.bias.is_some());
        if base.is_none() && self.shift.is_none() && !saved_bias {
            return None;
        }
        let mut bias = base.map_or_else(|| vec![0f32; outputs.len()], <[f32]>::to_vec);
        if let Some(shift) = &self.shift {
            bias.iter_mut().zip(&shift[outputs.clone()]).for_each(|(bias, shift)| *bias += shift);
        }
        for saved in &self.saved {
            let start = saved.outputs.start - outputs.start;
            if let Some(numbers) = &saved.bias {
                bias[start..][..numbers.len()].copy_from_slice(numbers);
            }
        }
        Some(bias)
    }
}
