//! Weights of a GGUF file as matrices. This project's own kernels multiply Q8_0 and the IQ4 formats. candle
//! multiplies the k-quants and the others.

use super::matrix::Matrix;
use crate::{Error, Result, cpu::Iq4Layout};
use candle_core::quantized::GgmlDType;
use llem_checkpoint::{BlockFormat, Gguf};
use std::sync::Arc;

/// The block formats that can be read, for a message.
const READ: &str =
    "F32, F16, BF16, Q8_0, Q6_K, Q5_K, Q4_K, Q3_K, Q2_K, Q5_1, Q5_0, Q4_1, Q4_0, IQ4_NL and IQ4_XS";

/// Refuses a file with a tensor in a format that cannot be read.
///
/// # Errors
/// The file has such a tensor.
pub(super) fn check(gguf: &Gguf) -> Result<()> {
    for (name, format, _) in gguf.tensor_formats()? {
        let is_read =
            is_plain(format) || iq4_layout(format).is_some() || candle_dtype(format).is_some();
        if !is_read {
            return Err(Error::file(
                gguf.path(),
                format!(
                    "tensor {name} is in {format}, which this version does not read: use a file in one of {READ}"
                ),
            ));
        }
    }
    Ok(())
}

/// Returns the bytes of all tensors as the CPU stores them, with `size` bytes for each number that is not quantised.
pub(super) fn bytes(gguf: &Gguf, size: usize) -> usize {
    let of = |(_, format, numbers): (&str, BlockFormat, usize)| match is_plain(format) {
        true => numbers.saturating_mul(size),
        false => kept_bytes(format, numbers),
    };
    gguf.tensor_formats().unwrap_or_default().into_iter().map(of).fold(0, usize::saturating_add)
}

/// Returns the bytes of `numbers` numbers as the CPU stores them: in their blocks, or for the IQ4 formats half a byte
/// for each number and a scale of four bytes for each 32 numbers.
pub(super) fn kept_bytes(format: BlockFormat, numbers: usize) -> usize {
    match iq4_layout(format) {
        Some(_) => numbers / 32 * (16 + size_of::<f32>()),
        None => numbers / format.block_len() * format.block_bytes(),
    }
}

fn is_plain(format: BlockFormat) -> bool {
    matches!(format, BlockFormat::F32 | BlockFormat::F16 | BlockFormat::BF16)
}

/// Returns the layout of blocks that are multiplied as four-bit numbers, or `None` for other formats.
pub(super) fn iq4_layout(format: BlockFormat) -> Option<Iq4Layout> {
    match format {
        BlockFormat::IQ4_NL => Some(Iq4Layout::Nl),
        BlockFormat::IQ4_XS => Some(Iq4Layout::Xs),
        _ => None,
    }
}

/// Returns candle's name of a quantised format, or `None` if candle has no products for it.
pub(super) fn candle_dtype(format: BlockFormat) -> Option<GgmlDType> {
    Some(match format {
        BlockFormat::Q4_0 => GgmlDType::Q4_0,
        BlockFormat::Q4_1 => GgmlDType::Q4_1,
        BlockFormat::Q5_0 => GgmlDType::Q5_0,
        BlockFormat::Q5_1 => GgmlDType::Q5_1,
        BlockFormat::Q8_0 => GgmlDType::Q8_0,
        BlockFormat::Q2_K => GgmlDType::Q2K,
        BlockFormat::Q3_K => GgmlDType::Q3K,
        BlockFormat::Q4_K => GgmlDType::Q4K,
        BlockFormat::Q5_K => GgmlDType::Q5K,
        BlockFormat::Q6_K => GgmlDType::Q6K,
        _ => return None,
    })
}

/// Opens a matrix `[rows, columns]` by llama.cpp's name. An expert's name is `blk.0.experts.3.ffn_up_exps.weight`.
///
/// # Errors
/// The tensor is missing or has another shape.
pub(super) fn matrix(gguf: &Gguf, name: &str, rows: usize, columns: usize) -> Result<Matrix> {
    let kept = gguf.rows(name, rows, Some(columns))?;
    let (format, lease) = (kept.format, Arc::new(kept.mapped_bytes()));
    let bytes = Arc::clone(&lease);
    let row =
        move |row: usize| bytes[kept.file_row(row) * kept.row_bytes..][..kept.row_bytes].to_vec();
    let widen: fn(&[u8], &mut [f32]) = match format {
        BlockFormat::F32 => |bytes, out| widen(bytes, out, f32::from_le_bytes),
        BlockFormat::F16 => {
            |bytes, out| widen(bytes, out, |number| half::f16::from_le_bytes(number).to_f32())
        }
        BlockFormat::BF16 => {
            |bytes, out| widen(bytes, out, |number| half::bf16::from_le_bytes(number).to_f32())
        }
        blocks => {
            return Ok(Matrix::from_blocks(rows, columns, blocks, Arc::new(row)).with_lease(lease));
        }
    };
    let size = format.block_bytes();
    let read = move |index: usize, first: usize, out: &mut [f32]| {
        widen(&row(index)[first * size..][..out.len() * size], out);
    };
    Ok(Matrix::from_numbers(rows, columns, Arc::new(read)).with_lease(lease))
}

fn widen<const N: usize>(bytes: &[u8], out: &mut [f32], one: impl Fn([u8; N]) -> f32) {
    for (out, number) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *out = one(*number);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {

    use super::*;
    use crate::cpu::PackedFormat;

    /// Random blocks become exactly the numbers that gguf-py computes.
    #[test]
    fn blocks_of_four_bits_are_what_gguf_py_widens_them_to() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/gguf/iq4.json");
        let text = std::fs::read_to_string(path).unwrap();
        let expected: serde_json::Value = serde_json::from_str(&text).unwrap();
        for format in [BlockFormat::IQ4_NL, BlockFormat::IQ4_XS] {
            let layout = &expected["layouts"][format.to_string()];
            let rows: Vec<Vec<u8>> = serde_json::from_value(layout["rows"].clone()).unwrap();
            let values: Vec<Vec<f32>> = serde_json::from_value(layout["values"].clone()).unwrap();
            let (count, columns) = (rows.len(), values[0].len());
            let row = move |index: usize| rows[index].clone();
            let matrix = Matrix::from_blocks(count, columns, format, Arc::new(row));
            let weight = matrix.to_host(PackedFormat::F32).unwrap();
            let mut ours = vec![0f32; columns];
            for (index, values) in values.iter().enumerate() {
                weight.row(index, &mut ours).unwrap();
                assert_eq!(&ours, values, "{format}, row {index}");
            }
            assert_eq!(matrix.bytes(4), count * columns / 32 * 20);
        }
    }
}
