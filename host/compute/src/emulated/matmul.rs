//! Matrix products of the emulated device. Each number of `y` is a sum in f32 whose order depends only on `inputs`.

use crate::{DType, MatrixProduct};
use half::slice::HalfFloatSliceExt;
use std::{array, ops::Range, slice};

/// Partial sums of a number of `y`: two vector registers.
const LANES: usize = 16;

/// Rows that are computed at the same time, because each addition to a sum waits for the one before it.
const ROWS: usize = 4;

/// Multiply-adds from which on several threads are used: about a millisecond of one thread.
const MANY: usize = 1 << 22;

/// Most threads of a product.
const MOST_THREADS: usize = 4;

/// Computes a product. Shapes are those of [`MatrixProduct`].
///
/// # Safety
/// The addresses are those of matrices of these shapes.
pub(super) unsafe fn multiply(product: &MatrixProduct) {
    let &MatrixProduct { rows, inputs, outputs, dtype, .. } = product;
    let mut x = vec![0f32; rows * inputs];
    // SAFETY: the caller keeps this function's contract.
    unsafe { widen(product.x, dtype, &mut x) };
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let threads = if x.len() * outputs < MANY { 1 } else { cores.min(outputs) };
    let part = |index: usize| outputs * index / threads..outputs * (index + 1) / threads;
    std::thread::scope(|scope| {
        let x = &x;
        for index in 1..threads {
            // SAFETY: the caller keeps the contract. Each thread writes columns of its own.
            let work = move || unsafe { columns(product, x, part(index)) };
            scope.spawn(work);
        }
        // SAFETY: the same.
        unsafe { columns(product, x, part(0)) };
    });
}

/// Computes some columns of `y`.
///
/// # Safety
/// The contract of [`multiply`].
unsafe fn columns(product: &MatrixProduct, x: &[f32], outputs: Range<usize>) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[target_feature(enable = "avx2")]
        unsafe fn with_avx2(product: &MatrixProduct, x: &[f32], outputs: Range<usize>) {
            // SAFETY: the caller keeps this function's contract.
            unsafe { plain_columns(product, x, outputs) }
        }
        // SAFETY: the caller keeps the contract, and the machine has AVX2.
        return unsafe { with_avx2(product, x, outputs) };
    }
    // SAFETY: the caller keeps this function's contract.
    unsafe { plain_columns(product, x, outputs) }
}

#[inline(always)]
unsafe fn plain_columns(product: &MatrixProduct, x: &[f32], outputs: Range<usize>) {
    let &MatrixProduct { rows, inputs, dtype, .. } = product;
    let row = |row: usize| &x[row * inputs..(row + 1) * inputs];
    let mut weight = vec![0f32; inputs];
    for output in outputs {
        // SAFETY: the row is one of the weight.
        unsafe {
            widen(product.weight + (output * inputs * dtype.size()) as u64, dtype, &mut weight)
        };
        let whole = rows / ROWS * ROWS;
        for first in (0..whole).step_by(ROWS) {
            let sums = dot_products::<ROWS>(array::from_fn(|i| row(first + i)), &weight);
            for (i, sum) in sums.into_iter().enumerate() {
                // SAFETY: the number is one of `y`.
                unsafe { write_output(product, first + i, output, sum) };
            }
        }
        for first in whole..rows {
            let [sum] = dot_products([row(first)], &weight);
            // SAFETY: the number is one of `y`.
            unsafe { write_output(product, first, output, sum) };
        }
    }
}

/// Returns the dot products of several rows with one row.
#[inline(always)]
fn dot_products<const N: usize>(x: [&[f32]; N], y: &[f32]) -> [f32; N] {
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

/// Writes one number of `y`, with its bias.
///
/// # Safety
/// The contract of [`multiply`].
unsafe fn write_output(product: &MatrixProduct, row: usize, output: usize, sum: f32) {
    let at = row * product.y_stride + output;
    let mut bias = [0.0];
    if product.bias != 0 {
        let at = product.bias + (output * product.dtype.size()) as u64;
        // SAFETY: the caller promises that the number belongs to the bias.
        unsafe { widen(at, product.dtype, &mut bias) };
    }
    let sum = sum + bias[0];
    let total = |y: f32| if product.accumulate { y + sum } else { sum };
    // SAFETY: the caller keeps this function's contract.
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

/// Reads numbers of a format as f32.
///
/// # Safety
/// `from` is valid for reading `to.len()` numbers.
unsafe fn widen(from: u64, dtype: DType, to: &mut [f32]) {
    let count = to.len();
    // SAFETY: the caller keeps this function's contract.
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
