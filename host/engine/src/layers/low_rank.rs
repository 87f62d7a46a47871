//! The change `B A x` of an adapter, and the matrix `B A` itself.
//!
//! ```text
//! x ──► A (all modules' below one another) ──► [ h_q h_k h_v ]
//!                                                 │   │   └─ B_v ──► + v
//!                                                 │   └─ B_k ──────► + k
//!                                                 └─ B_q ──────────► + q
//! ```

use super::{
    adapter_rows::Group,
    host,
    weight::{Place, Weight},
};
use crate::{
    DType, Result,
    kernels::{Activations, Packed, PackedFormat, parallel::SharedRows},
    load::matrix::Matrix,
};
use candle_core::{DType as CandleType, Device, Tensor};
use half::f16;
use std::{ops::Range, sync::Arc};

/// The factors of some output features, before they are brought to where they are used.
pub struct Block {
    /// The output features.
    pub outputs: Range<usize>,
    /// A, `[rank, inputs]`.
    pub down: Vec<f32>,
    /// B, scaled, `[outputs, rank]`.
    pub up: Vec<f32>,
}

/// The factors of a product's modules.
pub struct LowRank {
    /// The modules' A below one another, `[ranks, inputs]`.
    down: Weight,
    ups: Vec<Up>,
    ranks: usize,
    inputs: usize,
}

/// B of one module on the CPU; on a device, where launching a kernel costs more than zeros do, of all.
struct Up {
    outputs: Range<usize>,
    /// The columns of what A gives that it takes.
    inner: Range<usize>,
    weight: Weight,
}

/// Ranks below this are kept in f16 rather than bf16 on the CPU, whose products with bf16 go by steps of 32
/// inputs; f16 has as many bits, fewer of them for the exponent and more for the number.
const NARROW: usize = 32;

impl LowRank {
    /// Brings factors to where they are used.
    pub fn new(blocks: &[Block], inputs: usize, outputs: usize, place: &Place) -> Result<Self> {
        let down: Vec<f32> = blocks.iter().flat_map(|block| &block.down).copied().collect();
        let ranks = down.len() / inputs;
        let weight =
            |numbers: Vec<f32>, columns: usize| Weight::new(&matrix(numbers, columns), place);
        let mut start = 0;
        let inners = blocks.iter().map(|block| {
            let inner = start..start + block.down.len() / inputs;
            start = inner.end;
            inner
        });
        let ups = if host::computes(&place.device) {
            let up = |(block, inner): (&Block, Range<usize>)| {
                let matrix = matrix(block.up.clone(), inner.len());
                let fits = block.up.iter().all(|number| number.abs() <= f16::MAX.to_f32());
                let narrow = inner.len() < NARROW && place.dtype == DType::Bf16 && fits;
                let dtype = if narrow { DType::F16 } else { place.dtype };
                let weight = Weight::new(&matrix, &Place { dtype, ..place.clone() })?;
                Ok(Up { outputs: block.outputs.clone(), inner, weight })
            };
            blocks.iter().zip(inners).map(up).collect::<Result<Vec<_>>>()?
        } else {
            let mut all = vec![0f32; outputs * ranks];
            for (block, inner) in blocks.iter().zip(inners) {
                let rows = block.up.chunks_exact(inner.len()).zip(block.outputs.clone());
                rows.for_each(|(up, row)| all[row * ranks..][inner.clone()].copy_from_slice(up));
            }
            vec![Up { outputs: 0..outputs, inner: 0..ranks, weight: weight(all, ranks)? }]
        };
        Ok(Self { down: weight(down, inputs)?, ups, ranks, inputs })
    }

    /// Adds `B A x` to the rows of `y` that `group` names; `x` holds only those.
    ///
    /// # Safety
    /// `y` holds numbers, and no other thread touches those rows meanwhile.
    pub unsafe fn add_on_host(
        &self,
        x: &Activations<'_>,
        y: &SharedRows<'_, f32>,
        group: &Group,
    ) -> Result<()> {
        let inner = self.down.on_host(x, None)?;
        for up in &self.ups {
            let columns: Vec<f32>;
            let inner = if up.inner.len() == self.ranks {
                &inner
            } else {
                let rows = inner.chunks_exact(self.ranks);
                columns = rows.flat_map(|row| &row[up.inner.clone()]).copied().collect();
                &columns
            };
            let inner = Activations::new(inner, up.inner.len());
            // SAFETY: the caller's.
            unsafe { up.weight.add_on_host(&inner, y, up.outputs.start, &group.rows)? };
        }
        Ok(())
    }

    /// `B A x` of rows on a device.
    pub fn on_device(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let inner = self.down.on_device(x)?;
        self.ups.first().map(|up| up.weight.on_device(&inner)).transpose()
    }

    /// `B A` of some output features, `[outputs, inputs]`.
    pub fn matrix(&self, outputs: Range<usize>) -> Result<Vec<f32>> {
        let down = numbers(&self.down, self.ranks)?;
        let mut up = vec![0f32; outputs.len() * self.ranks];
        for part in &self.ups {
            let rows = numbers(&part.weight, part.outputs.len())?;
            for (row, numbers) in part.outputs.clone().zip(rows.chunks_exact(part.inner.len())) {
                if outputs.contains(&row) {
                    let place = (row - outputs.start) * self.ranks;
                    up[place..][part.inner.clone()].copy_from_slice(numbers);
                }
            }
        }
        Ok(Expansion::new(&down, self.ranks, self.inputs).rows(&up))
    }
}

/// A, ready to be multiplied with rows of B; or the other way about.
pub struct Expansion(Packed);

impl Expansion {
    /// From A, `[rank, inputs]`.
    pub fn new(down: &[f32], rank: usize, inputs: usize) -> Self {
        let column = |input: usize, out: &mut [f32]| {
            out.iter_mut().enumerate().for_each(|(row, out)| *out = down[row * inputs + input]);
        };
        Self(Packed::new(inputs, rank, PackedFormat::F32, &column))
    }

    /// From the rows themselves, `[inputs, rank]`.
    pub fn of_rows(rows: &[f32], rank: usize) -> Self {
        let read = |row: usize, out: &mut [f32]| out.copy_from_slice(&rows[row * rank..][..rank]);
        Self(Packed::new(rows.len() / rank, rank, PackedFormat::F32, &read))
    }

    /// Rows of `B A`, `[rows, inputs]`, from rows of B, `[rows, rank]`.
    pub fn rows(&self, up: &[f32]) -> Vec<f32> {
        self.0.product(&Activations::new(up, self.0.inputs()), None)
    }
}

/// A matrix of numbers that are in memory.
pub fn matrix(numbers: Vec<f32>, columns: usize) -> Matrix {
    let rows = numbers.len() / columns;
    let read = move |row: usize, out: &mut [f32]| {
        out.copy_from_slice(&numbers[row * columns..][..columns]);
    };
    Matrix::of_numbers(rows, columns, Arc::new(read))
}

/// A weight's numbers, row by row.
fn numbers(weight: &Weight, rows: usize) -> Result<Vec<f32>> {
    let ids: Vec<u32> = (0..rows as u32).collect();
    let all = weight.lookup(&ids)?.to_dtype(CandleType::F32)?.to_device(&Device::Cpu)?;
    Ok(all.flatten_all()?.to_vec1()?)
}
