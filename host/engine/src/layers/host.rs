//! Between candle's tensors and the slices that the CPU's kernels work on.

use crate::{Error, Result, cpu::pointwise};
use candle_core::{CpuStorage, Device, Storage, Tensor};

/// Calls `work` with the numbers of a contiguous f32 tensor in the CPU's memory, without a copy.
pub fn with_slice<R>(x: &Tensor, work: impl FnOnce(&[f32]) -> R) -> Result<R> {
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

/// A tensor `[numbers / width, width]` of what a kernel computed.
pub fn rows(numbers: Vec<f32>, width: usize) -> Result<Tensor> {
    let rows = numbers.len() / width;
    Ok(Tensor::from_vec(numbers, (rows, width), &Device::Cpu)?)
}

/// `a + b` of one shape.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let width = a.dim(1)?;
    rows(with_slice(a, |a| with_slice(b, |b| pointwise::add(a, b)))??, width)
}
