//! Copying weights to a device.

use super::Gpu;
use crate::{
    DType, Result,
    cpu::threads::{SharedRows, for_each_chunk},
    load::matrix::Matrix,
};
use half::{bf16, f16};
use llem_compute::{Buffer, View, ops::bytes_of};

/// The bytes that are converted on the CPU before they are copied.
const CHUNK: usize = 64 << 20;

/// Stacks matrices of one width on a device, in the model's format. Quantised matrices are widened.
///
/// # Shapes
/// - `parts`: `[rows_i, width]` each
/// - returns: `[sum of rows_i, width]`
pub(crate) fn upload_matrices(gpu: &Gpu, parts: &[Matrix]) -> Result<Buffer> {
    let size = gpu.dtype.size();
    let bytes: usize = parts.iter().map(|part| part.rows * part.columns * size).sum();
    let buffer = Buffer::new(&gpu.device, bytes)?;
    let mut start = 0;
    for part in parts {
        let bytes = part.rows * part.columns * size;
        fill(gpu, part, buffer.view().part(start, bytes)?)?;
        start += bytes;
    }
    Ok(buffer)
}

/// Copies a vector to a device, in the model's format.
pub(crate) fn upload_numbers(gpu: &Gpu, numbers: &[f32]) -> Result<Buffer> {
    Ok(Buffer::from_numbers(&gpu.device, numbers, gpu.dtype)?)
}

fn fill(gpu: &Gpu, matrix: &Matrix, to: View<'_>) -> Result<()> {
    if matrix.rows == 0 || matrix.columns == 0 {
        return Ok(());
    }
    if let Some((rows, half_width)) = matrix.synthetic_rows() {
        // SAFETY: rows are plain numbers without padding.
        let table = Buffer::from_bytes(&gpu.device, unsafe { bytes_of(&rows) })?;
        let (count, columns) = (matrix.rows, matrix.columns);
        return Ok(gpu.synthetic.fill(table.view(), count, columns, half_width, to)?);
    }
    let row_bytes = matrix.columns * gpu.dtype.size();
    let rows = (CHUNK / row_bytes).max(1);
    let read = matrix.widened()?;
    let mut bytes = vec![0u8; rows.min(matrix.rows) * row_bytes];
    for first in (0..matrix.rows).step_by(rows) {
        let count = rows.min(matrix.rows - first);
        let target = SharedRows::from_slice(&mut bytes, row_bytes);
        for_each_chunk(count, |range| {
            let mut numbers = vec![0f32; matrix.columns];
            for row in range {
                read(first + row, 0, &mut numbers);
                // SAFETY: bytes are initialised, and a row belongs to one chunk.
                let out = unsafe { target.numbers(row * row_bytes, row_bytes) };
                store(&numbers, gpu.dtype, out);
            }
        });
        let bytes = &bytes[..count * row_bytes];
        gpu.device.upload(bytes, to.part(first * row_bytes, bytes.len())?.address)?;
    }
    Ok(())
}

/// Converts numbers to a format's bytes, rounded to nearest even.
fn store(numbers: &[f32], dtype: DType, out: &mut [u8]) {
    let numbers = numbers.iter();
    match dtype {
        DType::F32 => {
            numbers.zip(out.as_chunks_mut().0).for_each(|(x, out)| *out = x.to_ne_bytes());
        }
        DType::Bf16 => numbers
            .zip(out.as_chunks_mut().0)
            .for_each(|(&x, out)| *out = bf16::from_f32(x).to_ne_bytes()),
        DType::F16 => numbers
            .zip(out.as_chunks_mut().0)
            .for_each(|(&x, out)| *out = f16::from_f32(x).to_ne_bytes()),
    }
}
