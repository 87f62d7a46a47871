//! Formats without scales: each product is added to a running sum as it comes.

use super::{Ahead, Format, PANEL, Step, Sums};
use crate::cpu::{
    amx::TILE_ROWS,
    simd::{LANES, Simd},
};
use half::{bf16, f16};

/// f32 weights and sums.
pub struct F32;
/// f16 weights, widened; f32 activations and sums.
pub struct F16;
/// bf16 weights and activations in pairs, for processors that multiply pairs; sums are f32.
pub struct Bf16;
/// The same numbers for processors that do not: weights are widened to f32 as they are read, and activations are
/// rounded to bf16 and kept as f32.
pub struct Bf16Widened;

/// A format whose products are added to running sums as they come, without scales. Every function is
/// `#[inline(always)]`: a closure would be compiled without the instruction set once it is used twice.
///
/// # Safety
/// Functions may only be called where the processor has `S`.
#[allow(clippy::missing_safety_doc, reason = "the trait's section covers every function")]
trait Streamed: Format {
    /// Parts that the inputs of a step are multiplied in.
    const PARTS: usize;

    /// A part of a step's weights: the first (`half` 0) or second sixteen outputs.
    unsafe fn weights<S: Simd>(weights: &Self::Weights, part: usize, half: usize) -> S::V;
    /// The same part of a row's activations, in every lane.
    unsafe fn activation<S: Simd>(x: &Self::Activations, part: usize) -> S::V;
    /// sum + weights · x
    #[inline(always)]
    unsafe fn add<S: Simd>(sum: S::V, weights: S::V, x: S::V) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::fma(weights, x, sum) }
    }
}

/// The loop of streamed formats. Where a vector is several registers, the two halves of a panel are taken one after
/// the other, so that the sums of a tile stay in registers; a few rows have room for both, and memory is then read in one
/// stream.
#[inline(always)]
unsafe fn accumulate<S: Simd, F: Streamed, const R: usize>(
    panel: &[Step<F::Weights>],
    x: &[F::Activations],
    mut ahead: Ahead,
) -> Sums<S, R> {
    // SAFETY: the processor has S; x is as long as the caller says.
    unsafe {
        let mut sums = [[S::splat(0.0); 2]; R];
        if S::IS_SPLIT && R > 3 {
            for half in 0..2 {
                let mut column = [S::splat(0.0); R];
                let mut x = x.as_ptr();
                for step in panel {
                    if half == 0 {
                        ahead.step::<S>();
                    }
                    for part in 0..F::PARTS {
                        let weights = F::weights::<S>(&step.0, part, half);
                        for (row, sum) in column.iter_mut().enumerate() {
                            let activation = F::activation::<S>(&*x.add(row), part);
                            *sum = F::add::<S>(*sum, weights, activation);
                        }
                    }
                    x = x.add(R);
                }
                for (sums, sum) in sums.iter_mut().zip(column) {
                    sums[half] = sum;
                }
            }
            return sums;
        }
        let mut x = x.as_ptr();
        for step in panel {
            ahead.step::<S>();
            for part in 0..F::PARTS {
                let first = F::weights::<S>(&step.0, part, 0);
                let second = F::weights::<S>(&step.0, part, 1);
                for (row, sums) in sums.iter_mut().enumerate() {
                    let activation = F::activation::<S>(&*x.add(row), part);
                    sums[0] = F::add::<S>(sums[0], first, activation);
                    sums[1] = F::add::<S>(sums[1], second, activation);
                }
            }
            x = x.add(R);
        }
        sums
    }
}

impl Format for F32 {
    type Weights = [f32; PANEL];
    type Activations = f32;
    const DEPTH: usize = 1;
    const ROWS: usize = 12;
    const SPLIT_ROWS: usize = 6;

    fn pack(inputs: &[[f32; 32]; PANEL]) -> Self::Weights {
        std::array::from_fn(|output| inputs[output][0])
    }
    fn unpack(weights: &Self::Weights, output: usize, inputs: &mut [f32]) {
        inputs[0] = weights[output];
    }
    #[inline(always)]
    fn activate(x: &[f32]) -> f32 {
        x.first().copied().unwrap_or(0.0)
    }
    #[inline(always)]
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[Step<Self::Weights>],
        x: &[f32],
        ahead: Ahead,
    ) -> Sums<S, R> {
        // SAFETY: the caller's.
        unsafe { accumulate::<S, Self, R>(panel, x, ahead) }
    }
}

impl Streamed for F32 {
    const PARTS: usize = 1;

    #[inline(always)]
    unsafe fn weights<S: Simd>(weights: &Self::Weights, _: usize, half: usize) -> S::V {
        // SAFETY: a step holds two vectors.
        unsafe { S::load(weights.as_ptr().add(half * LANES)) }
    }
    #[inline(always)]
    unsafe fn activation<S: Simd>(x: &f32, _: usize) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::splat(*x) }
    }
}

impl Format for F16 {
    type Weights = [f16; PANEL];
    type Activations = f32;
    const DEPTH: usize = 1;
    const ROWS: usize = 12;
    const SPLIT_ROWS: usize = 6;

    fn pack(inputs: &[[f32; 32]; PANEL]) -> Self::Weights {
        std::array::from_fn(|output| f16::from_f32(inputs[output][0]))
    }
    fn unpack(weights: &Self::Weights, output: usize, inputs: &mut [f32]) {
        inputs[0] = weights[output].to_f32();
    }
    #[inline(always)]
    fn activate(x: &[f32]) -> f32 {
        F32::activate(x)
    }
    #[inline(always)]
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[Step<Self::Weights>],
        x: &[f32],
        ahead: Ahead,
    ) -> Sums<S, R> {
        // SAFETY: the caller's.
        unsafe { accumulate::<S, Self, R>(panel, x, ahead) }
    }
}

impl Streamed for F16 {
    const PARTS: usize = 1;

    #[inline(always)]
    unsafe fn weights<S: Simd>(weights: &Self::Weights, _: usize, half: usize) -> S::V {
        // SAFETY: a step holds two vectors.
        unsafe { S::load_f16(weights.as_ptr().add(half * LANES)) }
    }
    #[inline(always)]
    unsafe fn activation<S: Simd>(x: &f32, _: usize) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::splat(*x) }
    }
}

impl Format for Bf16 {
    type Weights = [[bf16; 2]; PANEL];
    type Activations = [bf16; 2];
    const DEPTH: usize = 2;
    const ROWS: usize = 12;
    const SPLIT_ROWS: usize = 6;

    /// Whole tiles (`amx`), the last one filled up with zeros.
    fn steps(inputs: usize) -> usize {
        inputs.div_ceil(Self::DEPTH).next_multiple_of(TILE_ROWS)
    }

    fn pack(inputs: &[[f32; 32]; PANEL]) -> Self::Weights {
        std::array::from_fn(|output| [0, 1].map(|depth| bf16::from_f32(inputs[output][depth])))
    }
    fn unpack(weights: &Self::Weights, output: usize, inputs: &mut [f32]) {
        for (input, weight) in inputs.iter_mut().zip(weights[output]) {
            *input = weight.to_f32();
        }
    }
    #[inline(always)]
    unsafe fn round<S: Simd>(x: S::V) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::round_bf16(x) }
    }
    #[inline(always)]
    fn activate(x: &[f32]) -> [bf16; 2] {
        // They are rounded already: the low half of each is 0.
        Bf16Widened::activate(x).map(|x| bf16::from_bits((x.to_bits() >> 16) as u16))
    }
    #[inline(always)]
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[Step<Self::Weights>],
        x: &[[bf16; 2]],
        ahead: Ahead,
    ) -> Sums<S, R> {
        // SAFETY: the caller's.
        unsafe { accumulate::<S, Self, R>(panel, x, ahead) }
    }
}

impl Streamed for Bf16 {
    const PARTS: usize = 1;

    #[inline(always)]
    unsafe fn weights<S: Simd>(weights: &Self::Weights, _: usize, half: usize) -> S::V {
        // SAFETY: a step holds two vectors of pairs.
        unsafe { S::load(weights.as_ptr().add(half * LANES).cast()) }
    }
    #[inline(always)]
    unsafe fn activation<S: Simd>(&[first, second]: &[bf16; 2], _: usize) -> S::V {
        let pair = u32::from(first.to_bits()) | u32::from(second.to_bits()) << 16;
        // SAFETY: the caller's.
        unsafe { S::splat(f32::from_bits(pair)) }
    }
    #[inline(always)]
    unsafe fn add<S: Simd>(sum: S::V, weights: S::V, x: S::V) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::dot_bf16(sum, weights, x) }
    }
}

impl Format for Bf16Widened {
    type Weights = <Bf16 as Format>::Weights;
    type Activations = [f32; 2];
    const DEPTH: usize = Bf16::DEPTH;
    const ROWS: usize = Bf16::ROWS;
    const SPLIT_ROWS: usize = Bf16::SPLIT_ROWS;

    fn steps(inputs: usize) -> usize {
        Bf16::steps(inputs)
    }
    fn pack(inputs: &[[f32; 32]; PANEL]) -> Self::Weights {
        Bf16::pack(inputs)
    }
    fn unpack(weights: &Self::Weights, output: usize, inputs: &mut [f32]) {
        Bf16::unpack(weights, output, inputs);
    }
    #[inline(always)]
    unsafe fn round<S: Simd>(x: S::V) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::round_bf16(x) }
    }
    #[inline(always)]
    fn activate(x: &[f32]) -> [f32; 2] {
        let first = x.first().copied().unwrap_or(0.0);
        [first, x.get(1).copied().unwrap_or(0.0)]
    }
    #[inline(always)]
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[Step<Self::Weights>],
        x: &[[f32; 2]],
        ahead: Ahead,
    ) -> Sums<S, R> {
        // SAFETY: the caller's.
        unsafe { accumulate::<S, Self, R>(panel, x, ahead) }
    }
}

impl Streamed for Bf16Widened {
    const PARTS: usize = 2;

    #[inline(always)]
    unsafe fn weights<S: Simd>(weights: &Self::Weights, part: usize, half: usize) -> S::V {
        // SAFETY: a step holds two vectors of pairs.
        unsafe {
            let pairs = S::load(weights.as_ptr().add(half * LANES).cast());
            if part == 0 { S::first_bf16(pairs) } else { S::second_bf16(pairs) }
        }
    }
    #[inline(always)]
    unsafe fn activation<S: Simd>(x: &[f32; 2], part: usize) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::splat(x[part]) }
    }
}
