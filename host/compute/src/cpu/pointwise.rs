//! Norms, activation functions and sums: operations on each row or number by itself.

use super::{
    simd::{self, LANES, Simd, SimdTask},
    threads::{SharedRows, share},
};
use crate::ActivationFunction;
use std::ops::Range;

/// A norm and its weights.
#[derive(Clone, Copy)]
pub enum Normalisation<'a> {
    /// RMSNorm: `x / sqrt(mean(x²) + eps) · gain` (arXiv 1910.07467).
    Rms {
        /// `[width]`
        gain: &'a [f32],
        /// Number that is added to the mean square.
        eps: f32,
    },
    /// LayerNorm: `(x - mean) / sqrt(variance + eps) · gain + bias` (arXiv 1607.06450).
    Layer {
        /// `[width]`
        gain: &'a [f32],
        /// `[width]`
        bias: &'a [f32],
        /// Number that is added to the variance.
        eps: f32,
    },
}

impl Normalisation<'_> {
    fn gain(&self) -> &[f32] {
        match self {
            Self::Rms { gain, .. } | Self::Layer { gain, .. } => gain,
        }
    }
}

/// Normalises each row of `x`.
///
/// ```
/// use llem_compute::cpu::pointwise::{Normalisation, normalise};
///
/// let norm = Normalisation::Layer { gain: &[1.0, 1.0], bias: &[0.0, 10.0], eps: 0.0 };
/// assert_eq!(normalise(&[1.0, 3.0, 6.0, 2.0], norm), [-1.0, 11.0, 1.0, 9.0]);
/// ```
///
/// # Shapes
/// - `x`: `[rows, width]`, where `width` is the length of the gain
/// - returns: `[rows, width]`
pub fn normalise(x: &[f32], how: Normalisation<'_>) -> Vec<f32> {
    let width = how.gain().len();
    rows(x.len(), width, |range, out| simd::run(NormTask { x, how, width, range, out }))
}

/// Normalises each row of `x` in place, one row after another.
///
/// # Shapes
/// - `x`: `[rows, width]`, read and written
pub fn normalise_in_place(x: &mut [f32], how: Normalisation<'_>) {
    for row in x.chunks_exact_mut(how.gain().len()) {
        let normal = normalise(row, how);
        row.copy_from_slice(&normal);
    }
}

struct NormTask<'a> {
    x: &'a [f32],
    how: Normalisation<'a>,
    width: usize,
    range: Range<usize>,
    out: &'a SharedRows<'a, f32>,
}

impl SimdTask for NormTask<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let width = self.width as f32;
        for row in self.range.clone() {
            let x = &self.x[row * self.width..][..self.width];
            // SAFETY: `simd::run` chose S; a row belongs to one range.
            unsafe {
                let out = self.out.row(row);
                match self.how {
                    Normalisation::Rms { gain, eps } => {
                        let squares = sum::<S>(x, |x| S::mul(x, x), |x| x * x);
                        let factor = 1.0 / (squares / width + eps).sqrt();
                        for ((out, x), gain) in out.iter_mut().zip(x).zip(gain) {
                            out.write(x * factor * gain);
                        }
                    }
                    Normalisation::Layer { gain, bias, eps } => {
                        let mean = sum::<S>(x, |x| x, |x| x) / width;
                        let shift = S::splat(-mean);
                        let square = |x| {
                            let off = S::add(x, shift);
                            S::mul(off, off)
                        };
                        let squares = sum::<S>(x, square, |x| (x - mean) * (x - mean));
                        let factor = 1.0 / (squares / width + eps).sqrt();
                        for (((out, x), gain), bias) in out.iter_mut().zip(x).zip(gain).zip(bias) {
                            out.write((x - mean) * factor * gain + bias);
                        }
                    }
                }
            }
        }
    }
}

/// Returns the sum of a function over a row. `vector` is the function of sixteen numbers at a time, `one` the same
/// function of one number, for what is left at the end of the row.
///
/// # Safety
/// The processor has `S`.
#[inline(always)]
unsafe fn sum<S: Simd>(x: &[f32], vector: impl Fn(S::V) -> S::V, one: impl Fn(f32) -> f32) -> f32 {
    let (blocks, rest) = x.as_chunks::<LANES>();
    // SAFETY: a block is sixteen numbers.
    unsafe {
        let mut sum = S::splat(0.0);
        for block in blocks {
            sum = S::add(sum, vector(S::load(block.as_ptr())));
        }
        S::sum(sum) + rest.iter().map(|&x| one(x)).sum::<f32>()
    }
}

/// Applies the activation function to each of sixteen numbers.
///
/// # Safety
/// The processor has `S`.
#[inline(always)]
unsafe fn apply<S: Simd>(function: ActivationFunction, x: S::V) -> S::V {
    // SAFETY: the caller keeps this function's contract.
    unsafe {
        match function {
            ActivationFunction::Silu => {
                let power = S::exp(S::min(S::mul(x, S::splat(-1.0)), S::splat(88.0)));
                S::div(x, S::add(power, S::splat(1.0)))
            }
            ActivationFunction::Gelu => {
                let mut lanes = [0f32; LANES];
                S::store(x, lanes.as_mut_ptr());
                for x in &mut lanes {
                    *x = gelu(*x);
                }
                S::load(lanes.as_ptr())
            }
            ActivationFunction::GeluTanh => {
                let cube = S::mul(S::mul(x, x), S::mul(x, S::splat(0.044_715)));
                let root = S::splat((2.0 / std::f32::consts::PI).sqrt());
                let bend = S::tanh(S::mul(root, S::add(x, cube)));
                S::mul(S::mul(x, S::splat(0.5)), S::add(bend, S::splat(1.0)))
            }
        }
    }
}

/// Computes `x Φ(x)` in f64 with candle's `erf`.
fn gelu(x: f32) -> f32 {
    let x = f64::from(x);
    (0.5 * x * (1.0 + candle_core::cpu::erf::erf_f64(x / std::f64::consts::SQRT_2))) as f32
}

/// Applies the activation function to each number.
///
/// # Shapes
/// - `x`: `[count]`
/// - returns: `[count]`
pub fn activate(x: &[f32], activation: ActivationFunction) -> Vec<f32> {
    rows(x.len(), LANES, |range, out| {
        simd::run(ActivateTask { gate: x, up: None, activation, width: LANES, range, out });
    })
}

/// Computes `activation(gate) · up`, where each row of `x` is `[gate, up]`.
///
/// # Shapes
/// - `x`: `[rows, 2 * width]`
/// - returns: `[rows, width]`
pub fn gate(x: &[f32], width: usize, activation: ActivationFunction) -> Vec<f32> {
    rows(x.len() / 2, width, |range, out| {
        simd::run(ActivateTask { gate: x, up: Some(width), activation, width, range, out });
    })
}

struct ActivateTask<'a> {
    gate: &'a [f32],
    /// Offset of a row's second half, or `None` without a gate.
    up: Option<usize>,
    activation: ActivationFunction,
    width: usize,
    range: Range<usize>,
    out: &'a SharedRows<'a, f32>,
}

impl SimdTask for ActivateTask<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let stride = self.width + self.up.unwrap_or(0);
        for row in self.range.clone() {
            let start = row * stride;
            let width = self.width.min(self.gate.len() - start);
            for column in (0..width).step_by(LANES) {
                let count = LANES.min(width - column);
                let vector = |from: usize| {
                    let mut lanes = [0f32; LANES];
                    lanes[..count].copy_from_slice(&self.gate[from + column..][..count]);
                    // SAFETY: `simd::run` chose S; the array is one vector.
                    unsafe { S::load(lanes.as_ptr()) }
                };
                let mut numbers = [0f32; LANES];
                // SAFETY: as above, and a row belongs to one range.
                unsafe {
                    let mut value = apply::<S>(self.activation, vector(start));
                    if let Some(up) = self.up {
                        value = S::mul(value, vector(start + up));
                    }
                    S::store(value, numbers.as_mut_ptr());
                    self.out.copy(row * self.width + column, &numbers[..count]);
                }
            }
        }
    }
}

/// Computes `a + b`.
///
/// # Shapes
/// - `a`, `b`: `[count]`
/// - returns: `[count]`
pub fn add(a: &[f32], b: &[f32]) -> Vec<f32> {
    const WIDTH: usize = 1024;
    rows(a.len(), WIDTH, |range, out| {
        let places = range.start * WIDTH..a.len().min(range.end * WIDTH);
        for ((place, a), b) in places.clone().zip(&a[places.clone()]).zip(&b[places]) {
            // SAFETY: a place belongs to one range.
            unsafe { out.write(place, a + b) };
        }
    })
}

/// Makes `count` numbers in rows of `width`. The last row may be shorter. Several threads call `fill`, which writes
/// every number of the rows in its range.
fn rows(
    count: usize,
    width: usize,
    fill: impl Fn(Range<usize>, &SharedRows<'_, f32>) + Sync,
) -> Vec<f32> {
    let mut made: Vec<f32> = Vec::with_capacity(count);
    let out = SharedRows::new(&mut made.spare_capacity_mut()[..count], width);
    let rows = count.div_ceil(width);
    share(count, rows, |range| fill(range, &out));
    // SAFETY: every number has been written.
    unsafe { made.set_len(count) };
    made
}
