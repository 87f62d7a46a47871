//! Weights of a GGUF file as matrices. Q8_0 is multiplied by our own kernels, the k-quants and the rest by candle's.

use super::matrix::Matrix;
use crate::Result;
use candle_core::quantized::GgmlDType;
use llem_checkpoint::{gguf::Gguf, mapped::Lease};
use std::sync::Arc;

/// A matrix of exactly that shape. An expert's is part of the tensor of all:
/// `blk.0.experts.3.ffn_up_exps.weight` is the fourth of `blk.0.ffn_up_exps.weight`.
pub fn matrix(gguf: &Gguf, name: &str, rows: usize, columns: usize) -> Result<Matrix> {
    let (name, expert) = without_expert(name);
    let name = name.as_str();
    let (dtype, all) = gguf.tensor(name, &[rows, columns], expert)?;
    let row_bytes = all.len() / rows;
    let begin = all.as_ptr() as usize - gguf.bytes.as_ptr() as usize;
    let lease = Arc::new(Lease::new(&gguf.bytes, begin..begin + all.len()));
    let bytes = Arc::clone(&lease);
    let row = move |row: usize| bytes[row * row_bytes..][..row_bytes].to_vec();
    let matrix = match dtype {
        GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 => {
            let size = row_bytes / columns;
            let read = move |index: usize, first: usize, out: &mut [f32]| {
                let bytes = &row(index)[first * size..][..out.len() * size];
                match dtype {
                    GgmlDType::F32 => widen(bytes, out, f32::from_le_bytes),
                    GgmlDType::F16 => {
                        widen(bytes, out, |number| half::f16::from_le_bytes(number).to_f32());
                    }
                    _ => {
                        widen(bytes, out, |number| half::bf16::from_le_bytes(number).to_f32());
                    }
                }
            };
            Matrix::of_numbers(rows, columns, Arc::new(read))
        }
        _ => Matrix::of_blocks(rows, columns, dtype, Arc::new(row)),
    };
    let matrix = matrix.mapped(lease);
    let reordered = name.ends_with("attn_q.weight") || name.ends_with("attn_k.weight");
    Ok(match gguf.interleaved_head.filter(|_| reordered) {
        None => matrix,
        // Ours are all first halves of a head's pairs, then all second halves.
        Some(width) => matrix.select(rows, move |row| {
            let (head, place) = (row / width, row % width);
            head * width + place % (width / 2) * 2 + place / (width / 2)
        }),
    })
}

/// `blk.0.experts.3.x` as `blk.0.x` and 3.
fn without_expert(name: &str) -> (String, Option<usize>) {
    let split = name.split_once(".experts.").and_then(|(before, rest)| {
        let (index, after) = rest.split_once('.')?;
        Some((format!("{before}.{after}"), index.parse().ok()?))
    });
    split.map_or_else(|| (name.to_owned(), None), |(name, index)| (name, Some(index)))
}

fn widen<const N: usize>(bytes: &[u8], out: &mut [f32], one: impl Fn([u8; N]) -> f32) {
    for (out, number) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *out = one(*number);
    }
}
