//! Formats without scales: f32, f16 and bf16. Each product is added directly to a running sum.

use super::{PANEL, PanelStep, Prefetch, TileSums, WeightFormat};
use crate::cpu::{
    amx::TILE_ROWS,
    simd::{LANES, Simd},
};
use half::{bf16, f16};

/// Weights, inputs and sums in f32.
pub(crate) struct F32;
/// Weights in f16, which are widened as they are read. Inputs and sums in f32.
pub(crate) struct F16;
/// Pairs of bf16 weights and pairs of bf16 inputs, for processors that multiply pairs. Sums in f32.
pub(crate) struct Bf16;
/// The weights of [`Bf16`], for processors that do not multiply pairs. Weights are widened to f32 as they are read.
/// Inputs are rounded to bf16 but stored as f32.
pub(crate) struct Bf16Widened;

/// A format without scales. Every function is `#[inline(always)]`, and no function takes a closure: a closure with two
/// callers would be compiled without the target features.
///
/// # Safety
/// Functions may only be called where the processor has `S`.
#[allow(clippy::missing_safety_doc, reason = "the trait's section covers every function")]
trait UnscaledFormat: WeightFormat {
    /// Parts into which the inputs of a step are divided. Each part is one multiplication.
    const PARTS: usize;

    /// Loads a part of a step's weights for sixteen outputs: the first ones if `half` is 0, the second ones if it is 1.
    unsafe fn weights<S: Simd>(weights: &Self::Weights, part: usize, half: usize) -> S::V;
    /// Copies a part of a row's inputs to every lane.
    unsafe fn activation<S: Simd>(x: &Self::Activations, part: usize) -> S::V;
    /// Computes `sum + weights · x`.
    #[inline(always)]
    unsafe fn add<S: Simd>(sum: S::V, weights: S::V, x: S::V) -> S::V {
        // SAFETY: the caller keeps this function's contract.
        unsafe { S::fma(weights, x, sum) }
    }
}

/// The inner loop of formats without scales.
///
/// If a vector is several registers and a tile has more than three rows, the loop goes through the panel twice, once
/// for each half of the outputs. So the sums of a tile stay in registers. With fewer rows the sums of both halves fit,
/// and memory is read only once.
///
/// # Safety
/// The processor has `S`, and `x` is `R` times as long as `panel`.
#[inline(always)]
unsafe fn accumulate<S: Simd, F: UnscaledFormat, const R: usize>(
    panel: &[PanelStep<F::Weights>],
    x: &[F::Activations],
    mut prefetch: Prefetch,
) -> TileSums<S, R> {
    // SAFETY: the processor has S; x is as long as the caller says.
    unsafe {
        let mut sums = [[S::splat(0.0); 2]; R];
        if S::IS_SPLIT && R > 3 {
            for half in 0..2 {
                let mut column = [S::splat(0.0); R];
                let mut x = x.as_ptr();
                for step in panel {
                    if half == 0 {
                        prefetch.next_step::<S>();
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
            prefetch.next_step::<S>();
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

/// Implements a format whose steps have one input. `$load` loads and widens sixteen weights of type `$number`.
macro_rules! one_input_format {
    ($format:ty, $number:ty, $load:ident, $round:expr, $widen:expr) => {
        impl WeightFormat for $format {
            type Weights = [$number; PANEL];
            type Activations = f32;
            const DEPTH: usize = 1;
            const ROWS: usize = 12;
            const SPLIT_ROWS: usize = 6;

            fn pack(inputs: &[[f32; 32]; PANEL]) -> Self::Weights {
                std::array::from_fn(|output| $round(inputs[output][0]))
            }
            fn unpack(weights: &Self::Weights, output: usize, inputs: &mut [f32]) {
                inputs[0] = $widen(weights[output]);
            }
            #[inline(always)]
            fn activate(x: &[f32]) -> f32 {
                x.first().copied().unwrap_or(0.0)
            }
            #[inline(always)]
            unsafe fn multiply<S: Simd, const R: usize>(
                panel: &[PanelStep<Self::Weights>],
                x: &[f32],
                prefetch: Prefetch,
            ) -> TileSums<S, R> {
                // SAFETY: the caller keeps this function's contract.
                unsafe { accumulate::<S, Self, R>(panel, x, prefetch) }
            }
        }

        impl UnscaledFormat for $format {
            const PARTS: usize = 1;

            #[inline(always)]
            unsafe fn weights<S: Simd>(weights: &Self::Weights, _: usize, half: usize) -> S::V {
                // SAFETY: a step holds two vectors.
                unsafe { S::$load(weights.as_ptr().add(half * LANES)) }
            }
            #[inline(always)]
            unsafe fn activation<S: Simd>(x: &f32, _: usize) -> S::V {
                // SAFETY: the caller keeps this function's contract.
                unsafe { S::splat(*x) }
            }
        }
    };
}

one_input_format!(F32, f32, load, std::convert::identity, std::convert::identity);
one_input_format!(F16, f16, load_f16, f16::from_f32, f16::to_f32);

impl WeightFormat for Bf16 {
    type Weights = [[bf16; 2]; PANEL];
    type Activations = [bf16; 2];
    const DEPTH: usize = 2;
    const ROWS: usize = 12;
    const SPLIT_ROWS: usize = 6;

    /// Rounds up to whole tiles of `amx`. The weights of the last one are padded with zeros.
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
        // SAFETY: the caller keeps this function's contract.
        unsafe { S::round_bf16(x) }
    }
    #[inline(always)]
    fn activate(x: &[f32]) -> [bf16; 2] {
        // The inputs are rounded already, so the low half of each is 0.
        Bf16Widened::activate(x).map(|x| bf16::from_bits((x.to_bits() >> 16) as u16))
    }
    #[inline(always)]
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[PanelStep<Self::Weights>],
        x: &[[bf16; 2]],
        prefetch: Prefetch,
    ) -> TileSums<S, R> {
        // SAFETY: the caller keeps this function's contract.
        unsafe { accumulate::<S, Self, R>(panel, x, prefetch) }
    }
}

impl UnscaledFormat for Bf16 {
    const PARTS: usize = 1;

    #[inline(always)]
    unsafe fn weights<S: Simd>(weights: &Self::Weights, _: usize, half: usize) -> S::V {
        // SAFETY: a step holds two vectors of pairs.
        unsafe { S::load(weights.as_ptr().add(half * LANES).cast()) }
    }
    #[inline(always)]
    unsafe fn activation<S: Simd>(&[first, second]: &[bf16; 2], _: usize) -> S::V {
        let pair = u32::from(first.to_bits()) | u32::from(second.to_bits()) << 16;
        // SAFETY: the caller keeps this function's contract.
        unsafe { S::splat(f32::from_bits(pair)) }
    }
    #[inline(always)]
    unsafe fn add<S: Simd>(sum: S::V, weights: S::V, x: S::V) -> S::V {
        // SAFETY: the caller keeps this function's contract.
        unsafe { S::dot_bf16(sum, weights, x) }
    }
}

impl WeightFormat for Bf16Widened {
    type Weights = <Bf16 as WeightFormat>::Weights;
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
        // SAFETY: the caller keeps this function's contract.
        unsafe { S::round_bf16(x) }
    }
    #[inline(always)]
    fn activate(x: &[f32]) -> [f32; 2] {
        let first = x.first().copied().unwrap_or(0.0);
        [first, x.get(1).copied().unwrap_or(0.0)]
    }
    #[inline(always)]
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[PanelStep<Self::Weights>],
        x: &[[f32; 2]],
        prefetch: Prefetch,
    ) -> TileSums<S, R> {
        // SAFETY: the caller keeps this function's contract.
        unsafe { accumulate::<S, Self, R>(panel, x, prefetch) }
    }
}

impl UnscaledFormat for Bf16Widened {
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
        // SAFETY: the caller keeps this function's contract.
        unsafe { S::splat(x[part]) }
    }
}
