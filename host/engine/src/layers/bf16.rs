//! Products with bf16 weights on the CPU, for which candle has no fast path.
//!
//! bf16 is the upper half of f32, so a weight is widened by a shift and nothing is lost. Sums are
//! kept in f32 and rounded once, at the end. Few rows (decode) are bound by reading the weights:
//! each is read once and met with all rows. Many rows (prefill) are bound by arithmetic: a block of
//! weights is widened into the cache and multiplied there in f32.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, bail};
use half::bf16;
use rayon::prelude::*;

/// Up to so many rows a product is bound by reading weights. Found by timing both ways.
const FEW_ROWS: usize = 12;
/// Output features that a thread works on at a time: with 8192 inputs, 2 MiB of widened weights.
const BLOCK: usize = 64;
/// Numbers that are summed side by side: four AVX registers, or two of AVX-512.
const LANES: usize = 32;
/// Rows that meet a weight while it is in registers.
const ROWS: usize = 4;

/// `x [rows, inputs]` times `w [outputs, inputs]` transposed, both bf16 and contiguous.
pub struct Product;

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "bf16-product"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, inputs) = x_layout.shape().dims2()?;
        let (outputs, width) = w_layout.shape().dims2()?;
        if inputs != width {
            bail!("a product of [{rows}, {inputs}] and [{outputs}, {width}] transposed");
        }
        let x: Vec<f32> = contiguous(x, x_layout)?.iter().copied().map(bf16::to_f32).collect();
        let w = contiguous(w, w_layout)?;
        // Output features first, so that each thread writes a run of its own.
        let mut sums = vec![0f32; outputs * rows];
        sums.par_chunks_mut(BLOCK * rows).zip(w.par_chunks(BLOCK * inputs)).for_each(
            |(sums, w)| {
                if rows <= FEW_ROWS {
                    few_rows(&x, w, inputs, sums)
                } else {
                    many_rows(&x, w, inputs, sums)
                }
            },
        );
        let mut y = vec![bf16::ZERO; rows * outputs];
        y.par_chunks_mut(outputs).enumerate().for_each(|(row, y)| {
            for (output, y) in y.iter_mut().enumerate() {
                *y = bf16::from_f32(sums[output * rows + row]);
            }
        });
        Ok((CpuStorage::BF16(y), Shape::from((rows, outputs))))
    }
}

fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [bf16]> {
    match (storage.as_slice::<bf16>()?, layout.contiguous_offsets()) {
        (numbers, Some((begin, end))) => Ok(&numbers[begin..end]),
        (_, None) => bail!("a bf16 product needs contiguous operands"),
    }
}

/// Widens the weights, then `sums [outputs, rows] = w [outputs, inputs] x [rows, inputs] transposed`.
fn many_rows(x: &[f32], w: &[bf16], inputs: usize, sums: &mut [f32]) {
    let w: Vec<f32> = w.iter().copied().map(bf16::to_f32).collect();
    let (outputs, rows) = (w.len() / inputs, x.len() / inputs);
    assert!(
        sums.len() == outputs * rows && x.len() == rows * inputs && w.len() == outputs * inputs
    );
    // SAFETY: the strides below address exactly the three slices, whose lengths were just checked.
    unsafe {
        gemm::gemm(
            outputs,
            rows,
            inputs,
            sums.as_mut_ptr(),
            1,
            rows as isize,
            false,
            w.as_ptr(),
            1,
            inputs as isize,
            x.as_ptr(),
            inputs as isize,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// The best of this processor's ways.
fn few_rows(x: &[f32], w: &[bf16], inputs: usize, sums: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
            // SAFETY: the processor has the features.
            return unsafe { few_rows_avx512(x, w, inputs, sums) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor has the features.
            return unsafe { few_rows_avx2(x, w, inputs, sums) };
        }
    }
    few_rows_with::<false>(x, w, inputs, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx2,fma")]
fn few_rows_avx512(x: &[f32], w: &[bf16], inputs: usize, sums: &mut [f32]) {
    few_rows_with::<true>(x, w, inputs, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn few_rows_avx2(x: &[f32], w: &[bf16], inputs: usize, sums: &mut [f32]) {
    few_rows_with::<true>(x, w, inputs, sums);
}

/// Inlined into functions with more features, so that the compiler vectorises it for each. Without
/// fused multiply-add in hardware, `FUSED` would call a function for every number.
#[inline(always)]
fn few_rows_with<const FUSED: bool>(x: &[f32], w: &[bf16], inputs: usize, sums: &mut [f32]) {
    let rows = x.len() / inputs;
    let grouped = rows - rows % ROWS;
    for (w, sums) in w.chunks_exact(inputs).zip(sums.chunks_exact_mut(rows)) {
        let row = |index: usize| &x[index * inputs..][..inputs];
        for first in (0..grouped).step_by(ROWS) {
            let group = std::array::from_fn(|offset| row(first + offset));
            sums[first..first + ROWS].copy_from_slice(&dots::<FUSED, ROWS>(w, group));
        }
        for (index, sum) in sums.iter_mut().enumerate().skip(grouped) {
            [*sum] = dots::<FUSED, 1>(w, [row(index)]);
        }
    }
}

/// The products of one row of weights with `N` rows.
#[inline(always)]
fn dots<const FUSED: bool, const N: usize>(w: &[bf16], x: [&[f32]; N]) -> [f32; N] {
    let add = |sum: f32, a: f32, b: f32| if FUSED { a.mul_add(b, sum) } else { sum + a * b };
    let widen = |weight: bf16| f32::from_bits(u32::from(weight.to_bits()) << 16);
    let mut sums = [[0f32; LANES]; N];
    let (blocks, rest) = w.as_chunks::<LANES>();
    let x_blocks = x.map(|x| x.as_chunks::<LANES>().0);
    for (index, block) in blocks.iter().enumerate() {
        let block = block.map(widen);
        for (sums, x) in sums.iter_mut().zip(&x_blocks) {
            let x = &x[index];
            for lane in 0..LANES {
                sums[lane] = add(sums[lane], block[lane], x[lane]);
            }
        }
    }
    let done = w.len() - rest.len();
    let mut totals = [0f32; N];
    for ((total, sums), x) in totals.iter_mut().zip(&sums).zip(x) {
        *total = sums.iter().sum();
        for (weight, x) in rest.iter().zip(&x[done..]) {
            *total = add(*total, widen(*weight), *x);
        }
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor};

    /// Against candle's own product in f32, for widths that no register divides and both ways.
    #[test]
    fn products_are_those_of_f32_rounded_once() -> Result<()> {
        for rows in [1, 3, 4, 7, FEW_ROWS, FEW_ROWS + 1, 40] {
            for (outputs, inputs) in [(1, 5), (65, 96), (130, 257)] {
                let random = |rows| {
                    Tensor::randn(0f32, 1.0, (rows, inputs), &Device::Cpu)?.to_dtype(DType::BF16)
                };
                let (x, w) = (random(rows)?, random(outputs)?);
                let exact = x.to_dtype(DType::F32)?.matmul(&w.to_dtype(DType::F32)?.t()?)?;
                let ours = x.apply_op2_no_bwd(&w, &Product)?.to_dtype(DType::F32)?;
                let worst = (ours - &exact)?.abs()?.max_all()?.to_scalar::<f32>()?;
                let scale = exact.abs()?.max_all()?.to_scalar::<f32>()?;
                // Half a unit in the last of bf16's eight places.
                assert!(
                    worst <= scale / 256.0,
                    "[{rows}, {inputs}] x [{outputs}, {inputs}]: {worst} of {scale}"
                );
            }
        }
        Ok(())
    }
}
