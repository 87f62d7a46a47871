//! What one adapter changes about one product: low-rank factors (LoRA, arXiv 2106.09685), magnitudes
//! (DoRA, arXiv 2402.09353), biases, and whole weights in place of the base model's.

use super::{
    adapted::Added,
    adapter_rows::Group,
    linear::Module,
    low_rank::{Block, Expansion, LowRank},
    weight::{Place, Weight, vector_on_device},
};
use crate::{
    Result,
    adapters::{AdapterTensors, Factors},
    kernels::{
        Activations,
        parallel::{SharedRows, for_each_chunk},
    },
    load::matrix::{Matrix, ReadRow},
};
use candle_core::Tensor;
use std::{ops::Range, sync::Arc};

/// `y = g (W x + B A x) + b + s`, where `W x + b` is what the base model computes; of some output
/// features `y = W' x + b'` instead.
pub struct Change {
    low_rank: Option<LowRank>,
    /// DoRA's magnitudes over the norms of the rows of W + B A, `[outputs]`.
    gain: Option<Vec<f32>>,
    /// The base model's bias, where a gain must leave it alone.
    base_bias: Option<Vec<f32>>,
    /// Added, `[outputs]`.
    shift: Option<Vec<f32>>,
    /// What stands in place of the base model's weight.
    saved: Vec<Saved>,
    inputs: usize,
    outputs: usize,
}

struct Saved {
    outputs: Range<usize>,
    matrix: Matrix,
    weight: Weight,
    bias: Option<Vec<f32>>,
}

impl Change {
    /// Takes from an adapter what it says of a product's modules; `base` are the product's matrices
    /// and biases, which together hold the modules' outputs.
    pub fn load(
        tensors: &mut AdapterTensors,
        modules: &[Module],
        base: &[(&Matrix, Option<&[f32]>)],
        place: &Place,
    ) -> Result<(Option<Self>, Added)> {
        let inputs = base.first().map_or(0, |(matrix, _)| matrix.columns);
        let outputs = modules.last().map_or(0, |module| module.outputs.end);
        let bias: Vec<f32> = base.iter().filter_map(|(_, bias)| *bias).flatten().copied().collect();
        let bias = (bias.len() == outputs).then_some(bias);
        let mut added = Added::default();
        let (mut blocks, mut saved) = (Vec::new(), Vec::new());
        let (mut gain, mut shift) = (None, None);
        for module in modules {
            let width = module.outputs.len();
            let mut changed = false;
            if let [(matrix, _)] = base {
                // PEFT repeats the weight of an LM head that it changes.
                tensors.check_base(&module.name, matrix)?;
            }
            if let Some(factors) = tensors.factors(&module.name, module.role, width, inputs)? {
                changed = true;
                let factors = reordered(factors, module);
                added.count_factors(&factors, place);
                if let Some(magnitude) = &factors.magnitude {
                    let rows = rows_of(base, &module.outputs)?;
                    let norms = norms(&*rows, &factors, inputs);
                    let gain = gain.get_or_insert_with(|| vec![1f32; outputs]);
                    let gains =
                        magnitude.iter().zip(norms).map(|(magnitude, norm)| magnitude / norm);
                    module.outputs.clone().zip(gains).for_each(|(row, value)| gain[row] = value);
                }
                if let Some(bias) = &factors.bias {
                    add_to(&mut shift, outputs, &module.outputs, bias);
                }
                blocks.push(Block {
                    outputs: module.outputs.clone(),
                    down: factors.down,
                    up: factors.up,
                });
            }
            let mut new_bias = tensors.bias(&module.name, width)?;
            if let (Some(numbers), Some(order)) = (&mut new_bias, &module.order) {
                *numbers = (0..width).map(|row| numbers[order(row)]).collect();
            }
            let matrix = tensors.saved_matrix(&module.name, width, inputs, module.transposed)?;
            let old_bias = bias.as_ref().map(|bias| &bias[module.outputs.clone()]);
            if let Some(matrix) = matrix {
                changed = true;
                let matrix = match module.order.clone() {
                    Some(order) => matrix.select(width, move |row| order(row)),
                    None => matrix,
                };
                added.count_saved(width * inputs, place);
                let weight = Weight::new(&matrix, place)?;
                let bias = new_bias.or_else(|| old_bias.map(<[f32]>::to_vec));
                saved.push(Saved { outputs: module.outputs.clone(), matrix, weight, bias });
            } else if let Some(new) = new_bias {
                let Some(old) = old_bias else {
                    return Err(tensors.bad(&format!(
                        "it holds a bias for {}, which has none in the base model",
                        module.name
                    )));
                };
                changed = true;
                let difference: Vec<f32> =
                    new.iter().zip(old).map(|(new, old)| new - old).collect();
                added.count_vector(width);
                add_to(&mut shift, outputs, &module.outputs, &difference);
            }
            added.modules += usize::from(changed);
        }
        let low_rank = (!blocks.is_empty())
            .then(|| LowRank::new(&blocks, inputs, outputs, place))
            .transpose()?;
        let base_bias = bias.filter(|_| gain.is_some());
        let change = Self { low_rank, gain, base_bias, shift, saved, inputs, outputs };
        Ok(((added.modules > 0).then_some(change), added))
    }

    /// Changes the rows of `y = W x + b` that `group` names, on the CPU.
    ///
    /// # Safety
    /// `y` holds numbers, and no other thread touches those rows meanwhile.
    pub unsafe fn on_host(
        &self,
        x: &Activations<'_>,
        y: &SharedRows<'_, f32>,
        group: &Group,
    ) -> Result<()> {
        let (rows, gathered): (Vec<f32>, _);
        let x = if group.is_whole {
            x
        } else {
            let row = |&row: &u32| &x.numbers[row as usize * self.inputs..][..self.inputs];
            rows = group.rows.iter().flat_map(row).copied().collect();
            gathered = Activations::new(&rows, self.inputs);
            &gathered
        };
        if let Some(low_rank) = &self.low_rank {
            // SAFETY: the caller's.
            unsafe { low_rank.add_on_host(x, y, group)? };
        }
        let parts = self.saved.iter().map(|saved| saved.weight.on_host(x, saved.bias.as_deref()));
        let parts: Vec<Vec<f32>> = parts.collect::<Result<_>>()?;
        if self.gain.is_none() && self.shift.is_none() && parts.is_empty() {
            return Ok(());
        }
        for (index, &row) in group.rows.iter().enumerate() {
            // SAFETY: the caller's.
            let y = unsafe { y.numbers(row as usize * self.outputs, self.outputs) };
            if let Some(gain) = &self.gain {
                // g (y - b) + b = g y + (1 - g) b
                y.iter_mut().zip(gain).for_each(|(y, gain)| *y *= gain);
                if let Some(bias) = &self.base_bias {
                    let rest = bias.iter().zip(gain).map(|(bias, gain)| bias * (1.0 - gain));
                    y.iter_mut().zip(rest).for_each(|(y, rest)| *y += rest);
                }
            }
            if let Some(shift) = &self.shift {
                y.iter_mut().zip(shift).for_each(|(y, shift)| *y += shift);
            }
            for (saved, part) in self.saved.iter().zip(&parts) {
                let width = saved.outputs.len();
                y[saved.outputs.clone()].copy_from_slice(&part[index * width..][..width]);
            }
        }
        Ok(())
    }

    /// `y = W x + b` with the rows changed that `group` names, on a device.
    pub fn on_device(&self, x: &Tensor, y: Tensor, group: &Group) -> Result<Tensor> {
        let (x, old) = (group.of(x)?, group.of(&y)?);
        let vector = |numbers: &[f32]| vector_on_device(numbers, y.dtype(), y.device());
        let mut new = old;
        if let Some(low_rank) = &self.low_rank
            && let Some(sum) = low_rank.on_device(&x)?
        {
            new = (new + sum)?;
        }
        if let Some(gain) = &self.gain {
            new = new.broadcast_mul(&vector(gain)?)?;
            if let Some(bias) = &self.base_bias {
                let rest: Vec<f32> =
                    bias.iter().zip(gain).map(|(bias, gain)| bias * (1.0 - gain)).collect();
                new = new.broadcast_add(&vector(&rest)?)?;
            }
        }
        if let Some(shift) = &self.shift {
            new = new.broadcast_add(&vector(shift)?)?;
        }
        for saved in &self.saved {
            let part = saved.weight.on_device(&x)?;
            let part = match &saved.bias {
                Some(bias) => part.broadcast_add(&vector(bias)?)?,
                None => part,
            };
            let (start, end) = (saved.outputs.start, saved.outputs.end);
            let before = new.narrow(1, 0, start)?;
            let after = new.narrow(1, end, self.outputs - end)?;
            new = Tensor::cat(&[before, part, after], 1)?;
        }
        group.put(y, new)
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

fn add_to(sum: &mut Option<Vec<f32>>, outputs: usize, range: &Range<usize>, numbers: &[f32]) {
    let sum = sum.get_or_insert_with(|| vec![0f32; outputs]);
    sum[range.clone()].iter_mut().zip(numbers).for_each(|(sum, number)| *sum += number);
}

/// Factors with their outputs in the product's order.
fn reordered(factors: Factors, module: &Module) -> Factors {
    let Some(order) = &module.order else { return factors };
    let count = module.outputs.len();
    let vector = |numbers: Vec<f32>| (0..count).map(|row| numbers[order(row)]).collect();
    let rank = factors.rank;
    let up = (0..count).flat_map(|row| &factors.up[order(row) * rank..][..rank]);
    Factors {
        up: up.copied().collect(),
        bias: factors.bias.map(vector),
        magnitude: factors.magnitude.map(vector),
        ..factors
    }
}

/// How rows of the base weight are read, counted from the first of `outputs`.
fn rows_of(base: &[(&Matrix, Option<&[f32]>)], outputs: &Range<usize>) -> Result<ReadRow> {
    let mut start = 0;
    for (matrix, _) in base {
        if outputs.start < start + matrix.rows {
            let (read, first) = (matrix.widened()?, outputs.start - start);
            return Ok(Arc::new(move |row, out| read(first + row, out)));
        }
        start += matrix.rows;
    }
    Ok(Arc::new(|_, _| ()))
}

/// Output features whose `B A` is held at a time.
const NORM_ROWS: usize = 1024;

/// The norms of the rows of W + B A.
fn norms(base: &(dyn Fn(usize, &mut [f32]) + Sync), factors: &Factors, inputs: usize) -> Vec<f32> {
    let expansion = Expansion::new(&factors.down, factors.rank, inputs);
    let mut norms = vec![0f32; factors.up.len() / factors.rank];
    for (chunk, norms) in norms.chunks_mut(NORM_ROWS).enumerate() {
        let first = chunk * NORM_ROWS;
        let up = &factors.up[first * factors.rank..][..norms.len() * factors.rank];
        let change = expansion.rows(up);
        let count = norms.len();
        let target = SharedRows::over(norms, 1);
        for_each_chunk(count, |range| {
            let mut row = vec![0f32; inputs];
            for index in range {
                base(first + index, &mut row);
                let change = &change[index * inputs..][..inputs];
                let sum: f64 = row.iter().zip(change).map(|(w, d)| f64::from(w + d).powi(2)).sum();
                // SAFETY: an index belongs to one range.
                unsafe { target.write(index, sum.sqrt() as f32) };
            }
        });
    }
    norms
}
