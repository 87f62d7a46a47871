//! A matrix in memory, in the form that its device multiplies with.

use super::host;
use crate::{
    DType, Error, Result,
    cpu::{
        Activations, PackedFormat,
        parallel::{SharedRows, check_stop},
    },
    gpu::{self, Place},
    load::{
        Weights,
        matrix::{HostWeight, Matrix},
    },
    parallel::Shard,
};
use candle_core::{Module, Tensor, quantized::QMatMul};
use llem_compute::{Buffer, View};
use std::ops::Range;

/// The format and device of a rank's weights, and which part of the model's they are.
#[derive(Clone)]
pub struct Placement {
    /// Its part.
    pub shard: Shard,
    /// The format of what is not quantised.
    pub dtype: DType,
    /// Where it lives.
    pub place: Place,
}

impl Placement {
    /// That of a checkpoint.
    pub fn of(weights: &Weights) -> Self {
        let (dtype, place) = (weights.dtype(), weights.place().clone());
        Self { dtype, place, shard: weights.shard().clone() }
    }

    /// A vector on a device, in the weights' format; none where the CPU's kernels take it as it is.
    pub fn upload(&self, numbers: Option<&[f32]>) -> Result<Option<Buffer>> {
        let (Some(gpu), Some(numbers)) = (self.place.gpu(), numbers) else { return Ok(None) };
        gpu::of_numbers(gpu, numbers).map(Some)
    }

    /// A vector on a device, in f32; none where the CPU's kernels take it as it is.
    pub fn upload_f32(&self, numbers: Option<&[f32]>) -> Result<Option<Buffer>> {
        let (Some(gpu), Some(numbers)) = (self.place.gpu(), numbers) else { return Ok(None) };
        Ok(Some(Buffer::of_f32(&gpu.device, numbers)?))
    }

    /// Bytes of matrices as they are kept: on a device quantised ones are widened.
    pub fn bytes_of(&self, matrix: &Matrix) -> usize {
        match self.place.is_host() {
            true => matrix.bytes(self.dtype.size()),
            false => matrix.rows * matrix.columns * self.dtype.size(),
        }
    }
}

/// `[outputs, inputs]`.
pub enum Weight {
    /// For the CPU's kernels.
    Host(HostWeight),
    /// On a device, in the model's format.
    Device(Buffer),
}

/// Multiply-adds of blocks between two questions whether to stop: some tens of milliseconds.
const ASK_AFTER: usize = 1 << 29;

/// Rows for which candle's kernels read a weight once (`MATMUL_ROW_TILE` of its `k_quants.rs`).
const ROW_TILE: usize = 16;

/// `x Wᵀ` by candle's kernels, which take no questions: in as many tiles of rows at a time as are soon done.
fn blocks_product(weight: &QMatMul, x: &[f32], dims: &[usize]) -> Result<Vec<f32>> {
    let (outputs, inputs) = (dims[0], dims[1]);
    let rows = (ASK_AFTER / (outputs * inputs)).next_multiple_of(ROW_TILE).max(ROW_TILE);
    let mut y = Vec::with_capacity(x.len() / inputs * outputs);
    for x in x.chunks(rows * inputs) {
        check_stop()?;
        let x = host::rows(x.to_vec(), inputs)?;
        y.extend(weight.forward(&x)?.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok(y)
}

impl Weight {
    /// Reads a matrix into memory, and gives back what reading it has mapped.
    pub fn new(matrix: &Matrix, placement: &Placement) -> Result<Self> {
        let weight = match placement.place.gpu() {
            None => Self::Host(matrix.to_host(packed_format(placement.dtype))?),
            Some(_) => return Self::stacked(std::slice::from_ref(matrix), placement),
        };
        matrix.release();
        Ok(weight)
    }

    /// Reads matrices of one width into a device's memory, below one another.
    pub fn stacked(parts: &[Matrix], placement: &Placement) -> Result<Self> {
        let Some(gpu) = placement.place.gpu() else { return Err(misplaced()) };
        let buffer = gpu::of_matrices(gpu, parts)?;
        parts.iter().for_each(Matrix::release);
        Ok(Self::Device(buffer))
    }

    /// `x Wᵀ + b` on the CPU, `x` being `[rows, inputs]`.
    pub fn on_host(&self, x: &Activations<'_>, bias: Option<&[f32]>) -> Result<Vec<f32>> {
        match self {
            Self::Host(HostWeight::Packed(weight)) => Ok(weight.product(x, bias)?),
            Self::Host(HostWeight::Blocks(weight, tensor)) => {
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

    /// Adds `x Wᵀ` to the named rows of `y` on the CPU, from the number `start` of each on.
    ///
    /// # Safety
    /// `y` holds numbers, and no other thread touches those rows meanwhile.
    pub unsafe fn add_on_host(
        &self,
        x: &Activations<'_>,
        y: &SharedRows<'_, f32>,
        start: usize,
        rows: &[u32],
    ) -> Result<()> {
        match self {
            Self::Host(HostWeight::Packed(weight)) => {
                // SAFETY: the caller's.
                unsafe { weight.add_product(x, y, start, rows)? };
                Ok(())
            }
            Self::Host(HostWeight::Blocks(..)) | Self::Device(_) => Err(misplaced()),
        }
    }

    /// Its numbers on a device.
    pub fn on_device(&self) -> Result<View<'_>> {
        match self {
            Self::Device(buffer) => Ok(buffer.view()),
            Self::Host(_) => Err(misplaced()),
        }
    }

    /// All numbers of a matrix of so many rows, row by row.
    pub fn numbers(&self, rows: usize, dtype: DType) -> Result<Vec<f32>> {
        match self {
            Self::Host(weight) => {
                let mut numbers = vec![0f32; rows * weight.inputs()];
                for (index, row) in numbers.chunks_exact_mut(weight.inputs()).enumerate() {
                    weight.row(index, row)?;
                }
                Ok(numbers)
            }
            Self::Device(buffer) => Ok(buffer.to_f32(dtype)?),
        }
    }

    /// Rows of the matrix on the CPU, `[ids, inputs]`.
    pub fn lookup(&self, ids: &[u32]) -> Result<Tensor> {
        let Self::Host(weight) = self else { return Err(misplaced()) };
        let width = weight.inputs();
        let mut numbers = vec![0f32; ids.len() * width];
        for (out, &id) in numbers.chunks_exact_mut(width).zip(ids) {
            weight.row(id as usize, out)?;
        }
        host::rows(numbers, width)
    }

    /// Rows of the matrix on the CPU, `[ids, inputs]`, where it holds `kept` of a larger one: zeros for the others.
    pub fn lookup_kept(&self, ids: &[u32], kept: &Range<usize>) -> Result<Tensor> {
        let here = |&id: &u32| kept.contains(&(id as usize));
        let place = |id: &u32| if here(id) { id - kept.start as u32 } else { 0 };
        let places: Vec<u32> = ids.iter().map(place).collect();
        let rows = self.lookup(&places)?;
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
