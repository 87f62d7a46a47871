//! Conversions between candle's CPU tensors and the slices that the CPU's kernels work on.

use crate::{Error, Result, cpu::pointwise};
use candle_core::{CpuStorage, Device, Storage, Tensor};

/// Calls `work` with the numbers of a tensor, without a copy.
///
/// # Errors
/// Returns an error unless the tensor is contiguous, f32 and in the CPU's memory.
pub(crate) fn with_slice<R>(x: &Tensor, work: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = x.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(numbers)), Some((begin, end))) => {
            Ok(work(&numbers[begin..end]))
        }
        _ => Err(Error::Tensor(
            candle_core::Error::Msg(format!(
                "a kernel of the CPU was given {:?} on {:?}",
                x.dtype(),
                x.device()
            ))
            .bt(),
        )),
    }
}

/// Makes a CPU tensor from the numbers that a kernel computed, row after row.
///
/// # Shapes
/// - `numbers`: `[rows * width]`
/// - returns: `[rows, width]`
pub(crate) fn from_rows(numbers: Vec<f32>, width: usize) -> Result<Tensor> {
    let rows = numbers.len() / width;
    Ok(Tensor::from_vec(numbers, (rows, width), &Device::Cpu)?)
}

/// Adds two tensors element by element.
///
/// # Shapes
/// - `a`, `b`: `[rows, width]`
/// - returns: `[rows, width]`
pub(crate) fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let width = a.dim(1)?;
    from_rows(with_slice(a, |a| with_slice(b, |b| pointwise::add(a, b)))??, width)
}
