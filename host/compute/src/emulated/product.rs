//! Products, plain: each number of `y` is a sum in f32 whose order depends on `inputs` only.

use crate::{DType, Product};
use half::slice::HalfFloatSliceExt;
use std::{array, ops::Range, slice};

/// Partial sums of a number of `y`: two vector registers of them.
const LANES: usize = 16;

/// Rows that are computed side by side, because additions to one sum wait for one another.
const ROWS: usize = 4;

/// From so many multiply-adds on, a millisecond's, more than one thread is used.
const MANY: usize = 1 << 22;

/// Threads at most.
const MOST_THREADS: usize = 4;

/// # Safety
/// The matrices are there.
pub(super) unsafe fn compute(product: &Product) {
    let &Product { rows, inputs, outputs, dtype, .. } = product;
    let mut x = vec![0f32; rows * inputs];
    // SAFETY: the caller's.
    unsafe { widen(product.x, dtype, &mut x) };
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let threads = if x.len() * outputs < MANY { 1 } else { cores.min(outputs) };
    let part = |index: usize| outputs * index / threads..outputs * (index + 1) / threads;
    std::thread::scope(|scope| {
        let x = &x;
        for index in 1..threads {
            // SAFETY: the caller's. Each thread writes columns of its own.
            let work = move || unsafe { columns(product, x, part(index)) };
            scope.spawn(work);
        }
        // SAFETY: the same.
        unsafe { columns(product, x, part(0)) };
    });
}

/// Some columns of `y`.
///
/// # Safety
/// The matrices are there.
unsafe fn columns(product: &Product, x: &[f32], outputs: Range<usize>) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[target_feature(enable = "avx2")]
        unsafe fn with_avx2(product: &Product, x: &[f32], outputs: Range<usize>) {
            // SAFETY: the caller's.
            unsafe { plain_columns(product, x, outputs) }
        }
        // SAFETY: the caller's, and the machine has AVX2.
        return unsafe { with_avx2(product, x, outputs) };
    }
    // SAFETY: the caller's.
    unsafe { plain_columns(product, x, outputs) }
}

#[inline(always)]
unsafe fn plain_columns(product: &Product, x: &[f32], outputs: Range<usize>) {
    let &Product { rows, inputs, dtype, .. } = product;
    let row = |row: usize| &x[row * inputs..(row + 1) * inputs];
    let mut weight = vec![0f32; inputs];
    for output in outputs {
        // SAFETY: the row is one of the weight.
        unsafe {
            widen(product.weight + (output * inputs * dtype.size()) as u64, dtype, &mut weight)
        };
        let whole = rows / ROWS * ROWS;
        for first in (0..whole).step_by(ROWS) {
            let sums = dots::<ROWS>(array::from_fn(|i| row(first + i)), &weight);
            for (i, sum) in sums.into_iter().enumerate() {
                // SAFETY: the number is one of `y`.
                unsafe { put(product, first + i, output, sum) };
            }
        }
        for first in whole..rows {
            let [sum] = dots([row(first)], &weight);
            // SAFETY: the number is one of `y`.
            unsafe { put(product, first, output, sum) };
        }
    }
}

/// The products of some rows with another.
#[inline(always)]
fn dots<const N: usize>(x: [&[f32]; N], y: &[f32]) -> [f32; N] {
    let (chunks, rest) = y.as_chunks::<LANES>();
    let x_chunks = x.map(|x| &x.as_chunks::<LANES>().0[..chunks.len()]);
    let mut sums = [[0f32; LANES]; N];
    for (index, y) in chunks.iter().enumerate() {
        for i in 0..N {
            let x = &x_chunks[i][index];
            sums[i] = array::from_fn(|lane| sums[i][lane] + x[lane] * y[lane]);
        }
    }
    array::from_fn(|i| {
        let x_rest = &x[i][x[i].len() - rest.len()..];
        let rest: f32 = x_rest.iter().zip(rest).map(|(x, y)| x * y).sum();
        sums[i].iter().sum::<f32>() + rest
    })
}

/// Writes a number of `y`.
///
/// # Safety
/// It and its bias are there.
unsafe fn put(product: &Product, row: usize, output: usize, sum: f32) {
    let at = row * product.y_stride + output;
    let mut bias = [0.0];
    if product.bias != 0 {
        let at = product.bias + (output * product.dtype.size()) as u64;
        // SAFETY: the caller's: it is one of the bias.
        unsafe { widen(at, product.dtype, &mut bias) };
    }
    let sum = sum + bias[0];
    let total = |y: f32| if product.accumulate { y + sum } else { sum };
    // SAFETY: the caller's.
    unsafe {
        match product.y_dtype {
            DType::F32 => {
                let y = (product.y as *mut f32).add(at);
                *y = total(*y);
            }
            DType::Bf16 => {
                let y = (product.y as *mut half::bf16).add(at);
                *y = half::bf16::from_f32(total((*y).to_f32()));
            }
            DType::F16 => {
                let y = (product.y as *mut half::f16).add(at);
                *y = half::f16::from_f32(total((*y).to_f32()));
            }
        }
    }
}

/// Numbers of a format as f32.
///
/// # Safety
/// So many are there.
unsafe fn widen(from: u64, dtype: DType, to: &mut [f32]) {
    let count = to.len();
    // SAFETY: the caller's.
    unsafe {
        match dtype {
            DType::F32 => to.copy_from_slice(slice::from_raw_parts(from as *const f32, count)),
            DType::Bf16 => {
                slice::from_raw_parts(from as *const half::bf16, count).convert_to_f32_slice(to)
            }
            DType::F16 => {
                slice::from_raw_parts(from as *const half::f16, count).convert_to_f32_slice(to)
            }
        }
    }
}
