//! The change that one adapter makes to one linear layer.
//!
//! It may have low-rank factors (LoRA, arXiv 2106.09685), magnitudes (DoRA, arXiv 2402.09353), biases, and whole
//! weights that replace the base model's.

mod loader;

use super::{adapter_rows::RowSubset, low_rank::LowRank, weight::Weight};
use crate::{
    Result,
    cpu::{ProductInput, threads::SharedRows},
    gpu::KernelContext,
    load::matrix::Matrix,
};
use llem_compute::{Buffer, MatrixProduct, View, ops::lora::LoraEntry};
use std::ops::Range;

/// The change of one adapter: `y = g (W x + B A x) + b + s` instead of `y = W x + b`. For some output features it may
/// be `y = W' x + b'`.
pub(super) struct LinearAdapter {
    low_rank: Option<LowRank>,
    /// DoRA's magnitudes divided by the norms of the rows of `W + B A`, `[outputs]`.
    gain: Option<Vec<f32>>,
    /// The difference `s` that is added to the bias, `[outputs]`.
    shift: Option<Vec<f32>>,
    /// The vector that is added to `g (W x + b + B A x)`, `[outputs]`: `s`, and `(1 - g) b` because the bias is not
    /// scaled.
    rest: Option<Vec<f32>>,
    /// The weights that replace the base model's.
    saved: Vec<SavedWeight>,
    inputs: usize,
    outputs: usize,
    /// The gain and the rest on a device, in f32.
    on_device: [Option<Buffer>; 2],
}

/// A weight that replaces the base model's for some output features.
struct SavedWeight {
    outputs: Range<usize>,
    matrix: Matrix,
    weight: Weight,
    bias: Option<Vec<f32>>,
    /// The bias on a device, in the model's format.
    device_bias: Option<Buffer>,
}

impl LinearAdapter {
    /// Returns true if ranks share the low-rank factors, and therefore have to apply adapters in the same order.
    pub(super) fn is_shared(&self) -> bool {
        self.low_rank.as_ref().is_some_and(LowRank::is_shared)
    }

    /// Changes the rows of `y = W x + b` that `subset` names, on the CPU.
    ///
    /// # Shapes
    /// - `x`: `[all rows, inputs]`
    /// - `y`: `[all rows, outputs]`
    ///
    /// # Safety
    /// `y` is initialised, and no other thread reads or writes these rows at the same time.
    pub(super) unsafe fn apply_on_cpu(
        &self,
        x: &ProductInput<'_>,
        y: &SharedRows<'_, f32>,
        subset: &RowSubset,
    ) -> Result<()> {
        let (rows, gathered): (Vec<f32>, _);
        let x = if subset.is_whole {
            x
        } else {
            let row = |&row: &u32| &x.numbers[row as usize * self.inputs..][..self.inputs];
            rows = subset.rows.iter().flat_map(row).copied().collect();
            gathered = ProductInput::new(&rows, self.inputs);
            &gathered
        };
        if let Some(low_rank) = &self.low_rank {
            // SAFETY: the caller keeps the contract of this function, which is the same.
            unsafe { low_rank.add_product_on_cpu(x, y, subset)? };
        }
        let parts =
            self.saved.iter().map(|saved| saved.weight.product_on_cpu(x, saved.bias.as_deref()));
        let parts: Vec<Vec<f32>> = parts.collect::<Result<_>>()?;
        if self.gain.is_none() && self.rest.is_none() && parts.is_empty() {
            return Ok(());
        }
        for (index, &row) in subset.rows.iter().enumerate() {
            // SAFETY: the caller keeps the contract of this function for these rows.
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

    /// Returns the rows of A on all ranks together.
    pub(super) fn all_ranks(&self) -> usize {
        self.low_rank.as_ref().map_or(0, LowRank::ranks)
    }

    /// Returns true if the adapter replaces some weights of the layer.
    pub(super) fn has_saved(&self) -> bool {
        !self.saved.is_empty()
    }

    /// Describes the change to the kernels.
    pub(super) fn entry(&self) -> Result<LoraEntry> {
        let entry = self.low_rank.as_ref().map(LowRank::entry).transpose()?.unwrap_or_default();
        let [gain, rest] = &self.on_device;
        let address = |buffer: &Option<Buffer>| buffer.as_ref().map_or(0, |b| b.view().address);
        Ok(LoraEntry { gain: address(gain), rest: address(rest), ..entry })
    }

    /// Queues the products with the weights that replace the base model's, and writes them to the adapter's rows of
    /// `y`. `slots` has the slot of each row's adapter, and `slot` is this adapter's.
    ///
    /// # Shapes
    /// - `slots`: `[rows]`, u32
    /// - `x`: `[rows, inputs]`
    /// - `y`: `[rows, outputs]`, changed in place
    pub(super) fn replace_outputs_on_device(
        &self,
        context: &KernelContext<'_>,
        slots: View<'_>,
        slot: u32,
        inputs: usize,
        x: View<'_>,
        y: View<'_>,
    ) -> Result<()> {
        let (dtype, rows) = (context.gpu.dtype, context.rows);
        for saved in &self.saved {
            let width = saved.outputs.len();
            context.arena.scoped(|| {
                let part = context.take(rows, width)?;
                let product = MatrixProduct {
                    rows,
                    inputs,
                    outputs: width,
                    x: x.checked_address("a saved product's x", rows * inputs * dtype.size())?,
                    weight: saved.weight.device_view()?.address,
                    y: part.address,
                    bias: saved.device_bias.as_ref().map_or(0, |bias| bias.view().address),
                    y_stride: width,
                    dtype,
                    y_dtype: dtype,
                    accumulate: false,
                };
                // SAFETY: the views hold matrices of these sizes, and the weight and bias live as long as the
                // adapter.
                unsafe { context.gpu.products.product(&product)? };
                let start = saved.outputs.start;
                Ok(context.gpu.rows.replace(
                    rows,
                    self.outputs,
                    slots,
                    slot,
                    part,
                    width,
                    y,
                    start,
                )?)
            })?;
        }
        Ok(())
    }

    /// Merges the change into the base matrix of some output features.
    pub(super) fn merged_matrix(&self, base: &Matrix, outputs: Range<usize>) -> Result<Matrix> {
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

    /// Merges the change into the base bias of some output features. Returns `None` if neither has a bias.
    pub(super) fn merged_bias(
        &self,
        base: Option<&[f32]>,
        outputs: Range<usize>,
    ) -> Option<Vec<f32>> {
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
