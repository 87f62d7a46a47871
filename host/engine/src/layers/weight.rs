//! A weight matrix in memory, in the form that its backend multiplies with.

use super::{cpu_tensor, placement::Placement};
use crate::{
    DType, Error, Result,
    cpu::{
        PackedFormat, ProductInput,
        threads::{SharedRows, check_stop},
    },
    gpu,
    load::matrix::{HostWeight, Matrix},
};
use candle_core::{Module, Tensor, quantized::QMatMul};
use llem_compute::{Buffer, View};
use std::ops::Range;

/// A weight, `[outputs, inputs]`.
pub(crate) enum Weight {
    /// A matrix for the CPU's kernels.
    Cpu(HostWeight),
    /// A matrix on a device, in the model's number format.
    Device(Buffer),
}

/// The multiply-adds of quantised blocks between two checks whether to stop. They take some tens of milliseconds.
const STOP_CHECK_INTERVAL: usize = 1 << 29;

/// The rows for which candle's kernels read a weight once (`MATMUL_ROW_TILE` of its `k_quants.rs`).
const ROW_TILE: usize = 16;

/// Computes `x Wᵀ` with candle's kernels for quantised blocks. These kernels cannot be stopped, so the rows are
/// multiplied in chunks, with a check after each.
fn blocks_product(weight: &QMatMul, x: &[f32], dims: &[usize]) -> Result<Vec<f32>> {
    let (outputs, inputs) = (dims[0], dims[1]);
    let rows = (STOP_CHECK_INTERVAL / (outputs * inputs)).next_multiple_of(ROW_TILE).max(ROW_TILE);
    let mut y = Vec::with_capacity(x.len() / inputs * outputs);
    for x in x.chunks(rows * inputs) {
        check_stop()?;
        let x = cpu_tensor::from_rows(x.to_vec(), inputs)?;
        y.extend(weight.forward(&x)?.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok(y)
}

impl Weight {
    /// Reads a matrix into memory, and releases the pages of its file that reading has mapped.
    pub(crate) fn new(matrix: &Matrix, placement: &Placement) -> Result<Self> {
        let weight = match placement.backend.gpu() {
            None => Self::Cpu(matrix.to_host(packed_format(placement.dtype))?),
            Some(_) => return Self::from_stacked(std::slice::from_ref(matrix), placement),
        };
        matrix.release();
        Ok(weight)
    }

    /// Stacks matrices of one width in a device's memory, first to last.
    pub(crate) fn from_stacked(parts: &[Matrix], placement: &Placement) -> Result<Self> {
        let Some(gpu) = placement.backend.gpu() else { return Err(misplaced()) };
        let buffer = gpu::upload_matrices(gpu, parts)?;
        parts.iter().for_each(Matrix::release);
        Ok(Self::Device(buffer))
    }

    /// Computes `x Wᵀ + b` on the CPU.
    ///
    /// # Shapes
    /// - `x`: `[rows, inputs]`
    /// - `bias`: `[outputs]`
    /// - returns: `[rows, outputs]`, flat
    pub(crate) fn product_on_cpu(
        &self,
        x: &ProductInput<'_>,
        bias: Option<&[f32]>,
    ) -> Result<Vec<f32>> {
        match self {
            Self::Cpu(HostWeight::Packed(weight)) => Ok(weight.product(x, bias)?),
            Self::Cpu(HostWeight::Blocks(weight, tensor)) => {
                let mut y = blocks_product(weight, x.numbers, tensor.shape().dims())?;
                if let Some(bias) = bias {
                    for row in y.chunks_exact_mut(bias.len()) {
                        row.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
                    }
                }
                Ok(y)
            }
            Self::Device(_) => Err(misplaced()),
        }
    }

    /// Adds `x Wᵀ` to some rows of `y` on the CPU, beginning at the column `start`.
    ///
    /// # Shapes
    /// - `x`: `[rows, inputs]`
    /// - `y`: at least `[_, start + outputs]`; row `i` of the product is added to row `rows[i]`
    ///
    /// # Safety
    /// `y` is initialised, and no other thread reads or writes these rows at the same time.
    pub(crate) unsafe fn add_product_on_cpu(
        &self,
        x: &ProductInput<'_>,
        y: &SharedRows<'_, f32>,
        start: usize,
        rows: &[u32],
    ) -> Result<()> {
        match self {
            Self::Cpu(HostWeight::Packed(weight)) => {
                // SAFETY: the caller keeps the contract of this function, which is the same.
                unsafe { weight.add_product(x, y, start, rows)? };
                Ok(())
            }
            Self::Cpu(HostWeight::Blocks(..)) | Self::Device(_) => Err(misplaced()),
        }
    }

    /// Returns the weight on its device.
    pub(crate) fn device_view(&self) -> Result<View<'_>> {
        match self {
            Self::Device(buffer) => Ok(buffer.view()),
            Self::Cpu(_) => Err(misplaced()),
        }
    }

    /// Reads all numbers of the matrix, row by row. `rows` is the number of its rows.
    pub(crate) fn numbers(&self, rows: usize, dtype: DType) -> Result<Vec<f32>> {
        match self {
            Self::Cpu(weight) => {
                let mut numbers = vec![0f32; rows * weight.inputs()];
                for (index, row) in numbers.chunks_exact_mut(weight.inputs()).enumerate() {
                    weight.row(index, row)?;
                }
                Ok(numbers)
            }
            Self::Device(buffer) => Ok(buffer.to_f32(dtype)?),
        }
    }

    /// Looks up rows of the matrix on the CPU.
    ///
    /// # Shapes
    /// - `ids`: `[ids]`
    /// - returns: `[ids, inputs]`
    pub(crate) fn lookup(&self, ids: &[u32]) -> Result<Tensor> {
        let Self::Cpu(weight) = self else { return Err(misplaced()) };
        let width = weight.inputs();
        let mut numbers = vec![0f32; ids.len() * width];
        for (out, &id) in numbers.chunks_exact_mut(width).zip(ids) {
            weight.row(id as usize, out)?;
        }
        cpu_tensor::from_rows(numbers, width)
    }

    /// Looks up rows of a larger matrix on the CPU, of which this weight has the rows `kept`. Rows of other ranks are
    /// zeros.
    ///
    /// # Shapes
    /// - `ids`: `[ids]`
    /// - returns: `[ids, inputs]`
    pub(crate) fn lookup_sharded(&self, ids: &[u32], kept: &Range<usize>) -> Result<Tensor> {
        let here = |&id: &u32| kept.contains(&(id as usize));
        let local_row = |id: &u32| if here(id) { id - kept.start as u32 } else { 0 };
        let rows: Vec<u32> = ids.iter().map(local_row).collect();
        let rows = self.lookup(&rows)?;
        if ids.iter().all(here) {
            return Ok(rows);
        }
        let mask: Vec<f32> = ids.iter().map(|id| f32::from(u8::from(here(id)))).collect();
        Ok(rows.broadcast_mul(&Tensor::from_vec(mask, (ids.len(), 1), rows.device())?)?)
    }
}

fn misplaced() -> Error {
    Error::Bug("a weight and what it is multiplied with are on different devices".to_owned())
}

fn packed_format(dtype: DType) -> PackedFormat {
    match dtype {
        DType::F32 => PackedFormat::F32,
        DType::Bf16 => PackedFormat::Bf16,
        DType::F16 => PackedFormat::F16,
    }
}
