//! What one adapter changes about one product: low-rank factors (LoRA, arXiv 2106.09685), magnitudes
//! (DoRA, arXiv 2402.09353), biases, and whole weights in place of the base model's.

mod load;

use super::{adapter_rows::RowSubset, low_rank::LowRank, weight::Weight};
use crate::{
    Result,
    cpu::{Activations, parallel::SharedRows},
    gpu::Run,
    load::matrix::Matrix,
};
use llem_compute::{Buffer, Product, View, ops::lora::Entry};
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
    /// Gain and rest on a device, in f32.
    on_device: [Option<Buffer>; 2],
}

struct Saved {
    outputs: Range<usize>,
    matrix: Matrix,
    weight: Weight,
    bias: Option<Vec<f32>>,
    /// The bias on a device.
    device_bias: Option<Buffer>,
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

    /// Rows of A on all ranks.
    pub fn all_ranks(&self) -> usize {
        self.low_rank.as_ref().map_or(0, LowRank::ranks)
    }

    /// Whether it has whole weights in place of the base model's.
    pub fn has_saved(&self) -> bool {
        !self.saved.is_empty()
    }

    /// What kernels are told of it.
    pub fn entry(&self) -> Result<Entry> {
        let entry = self.low_rank.as_ref().map(LowRank::entry).transpose()?.unwrap_or_default();
        let [gain, rest] = &self.on_device;
        let address = |buffer: &Option<Buffer>| buffer.as_ref().map_or(0, |b| b.view().address);
        Ok(Entry { gain: address(gain), rest: address(rest), ..entry })
    }

    /// Puts what its saved weights give into its rows of `y`, `[rows, outputs]`, on a device; `x` is `[rows, inputs]`, and
    /// `slots` tells each row's adapter, of which this one's is `slot`.
    pub fn replace(
        &self,
        run: &Run<'_>,
        slots: View<'_>,
        slot: u32,
        inputs: usize,
        x: View<'_>,
        y: View<'_>,
    ) -> Result<()> {
        let (dtype, rows) = (run.gpu.dtype, run.rows);
        for saved in &self.saved {
            let width = saved.outputs.len();
            run.arena.scoped(|| {
                let part = run.take(rows, width)?;
                let product = Product {
                    rows,
                    inputs,
                    outputs: width,
                    x: x.holds("a saved product's x", rows * inputs * dtype.size())?,
                    weight: saved.weight.on_device()?.address,
                    y: part.address,
                    bias: saved.device_bias.as_ref().map_or(0, |bias| bias.view().address),
                    y_stride: width,
                    dtype,
                    y_dtype: dtype,
                    accumulate: false,
                };
                // SAFETY: the views hold matrices of these sizes, and the weight and bias live as long as the adapter.
                unsafe { run.gpu.products.product(&product)? };
                let start = saved.outputs.start;
                Ok(run.gpu.rows.replace(rows, self.outputs, slots, slot, part, width, y, start)?)
            })?;
        }
        Ok(())
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
