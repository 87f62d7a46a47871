//! Q8_0 of ggml: blocks of integers of 8 bits with one scale each.

use super::{PANEL, PanelStep, Prefetch, TileSums, WeightFormat};
use crate::cpu::simd::{LANES, Simd};
use half::f16;

/// Q8_0 of ggml: 32 integers of 8 bits with one f16 scale. Inputs are rounded to the same format.
pub(crate) struct Q8;

/// Inputs of a Q8_0 block (`QK8_0` in ggml's `ggml-common.h`).
pub(super) const BLOCK: usize = 32;
/// Number that is added to each weight to make it unsigned. The processor's byte products multiply unsigned with signed
/// bytes.
pub(super) const OFFSET: i32 = 128;

/// A step of a panel: 32 inputs of 32 outputs.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Q8Weights {
    /// Scale of each output.
    scales: [f16; PANEL],
    /// Eight quadruples of four inputs, each plus [`OFFSET`].
    quads: [[[u8; 4]; PANEL]; BLOCK / 4],
}

/// 32 rounded inputs of a row.
#[derive(Clone, Copy)]
pub(crate) struct Q8Activations {
    scale: f32,
    /// Minus [`OFFSET`] times the sum of the inputs: it removes the offset of the weights from the product.
    correction: i32,
    quads: [[i8; 4]; BLOCK / 4],
}

/// The rounding of a block of inputs, bit for bit that of ggml (`quantize_row_q8_0` for x86). The largest magnitude
/// becomes 127, halves are rounded to even, and the scale is rounded to f16.
struct Rounding {
    scale: f16,
    inverse: f32,
}

impl Rounding {
    #[inline(always)]
    fn from_block(numbers: &[f32; BLOCK]) -> Self {
        // Lane by lane, so that the compiler makes vectors of it.
        let mut lanes = [0f32; LANES];
        for (index, x) in numbers.iter().enumerate() {
            let lane = &mut lanes[index % LANES];
            *lane = if x.abs() > *lane { x.abs() } else { *lane };
        }
        let most = lanes.iter().fold(0f32, |most, &x| if x > most { x } else { most });
        let inverse = if most == 0.0 { 0.0 } else { 127.0 / most };
        Self { scale: f16::from_f32(most / 127.0), inverse }
    }

    #[inline(always)]
    fn round(&self, x: f32) -> i8 {
        (x * self.inverse).round_ties_even() as i32 as i8
    }
}

impl Q8Weights {
    /// Bytes of a block in a GGUF file.
    pub(crate) const BYTES: usize = 2 + BLOCK;

    /// Packs one block for each output, as a GGUF file stores it: an f16 scale and 32 signed bytes. `None` stands for
    /// outputs beyond the last one.
    pub(crate) fn from_blocks(blocks: &[Option<&[u8]>; PANEL]) -> Self {
        let mut weights =
            Self { scales: [f16::ZERO; PANEL], quads: [[[OFFSET as u8; 4]; PANEL]; BLOCK / 4] };
        for (output, block) in blocks.iter().enumerate() {
            let Some(block) = block else { continue };
            weights.scales[output] = f16::from_le_bytes([block[0], block[1]]);
            for (input, byte) in block[2..2 + BLOCK].iter().enumerate() {
                weights.quads[input / 4][output][input % 4] = byte.wrapping_add(OFFSET as u8);
            }
        }
        weights
    }
}

impl WeightFormat for Q8 {
    type Weights = Q8Weights;
    type Activations = Q8Activations;
    const DEPTH: usize = BLOCK;
    const ROWS: usize = 6;
    const SPLIT_ROWS: usize = 6;

    fn pack(inputs: &[[f32; 32]; PANEL]) -> Q8Weights {
        let roundings = inputs.each_ref().map(Rounding::from_block);
        let byte = |output: usize, input: usize| {
            (i32::from(roundings[output].round(inputs[output][input])) + OFFSET) as u8
        };
        let scales = roundings.each_ref().map(|rounding| rounding.scale);
        let quads = std::array::from_fn(|quad| {
            std::array::from_fn(|output| std::array::from_fn(|i| byte(output, 4 * quad + i)))
        });
        Q8Weights { scales, quads }
    }

    fn unpack(weights: &Q8Weights, output: usize, inputs: &mut [f32]) {
        let scale = weights.scales[output].to_f32();
        for (index, input) in inputs.iter_mut().enumerate() {
            let byte = weights.quads[index / 4][output][index % 4];
            *input = (i32::from(byte) - OFFSET) as f32 * scale;
        }
    }

    #[inline(always)]
    fn activate(x: &[f32]) -> Q8Activations {
        activate(x)
    }

    #[inline(always)]
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[PanelStep<Q8Weights>],
        x: &[Q8Activations],
        // A step is long and needs all registers, so prefetching costs more than it gains.
        _: Prefetch,
    ) -> TileSums<S, R> {
        // SAFETY: the caller keeps the contract; a step holds two vectors of scales and of each quadruple.
        unsafe {
            let mut sums = [[S::splat(0.0); 2]; R];
            for (index, PanelStep(weights)) in panel.iter().enumerate() {
                let scales = weights.scales.as_ptr();
                let scales = [S::load_f16(scales), S::load_f16(scales.add(LANES))];
                add_products::<S, R>(&weights.quads, scales, &x[index * R..], &mut sums);
            }
            sums
        }
    }
}

/// Rounds at most [`BLOCK`] inputs. Missing ones count as 0.
#[inline(always)]
pub(super) fn activate(x: &[f32]) -> Q8Activations {
    let mut block = [0f32; BLOCK];
    block[..x.len()].copy_from_slice(x);
    let rounding = Rounding::from_block(&block);
    // Loops, because a closure would be compiled without the processor's rounding instruction.
    let mut quads = [[0i8; 4]; BLOCK / 4];
    let mut sum = 0;
    for (byte, &x) in quads.as_flattened_mut().iter_mut().zip(&block) {
        *byte = rounding.round(x);
        sum += i32::from(*byte);
    }
    Q8Activations { scale: rounding.scale.to_f32(), correction: -OFFSET * sum, quads }
}

/// Adds the products of one step with `R` rows of inputs to the sums.
///
/// # Shapes
/// - `quads`: `[8, 32 outputs, 4]` of weights plus [`OFFSET`]
/// - `scales`: `[32 outputs]` in two vectors
/// - `x`: `[R]` or longer
/// - `sums`: `[R, 32 outputs]`, read and written
///
/// # Safety
/// The processor has `S`, and `x` has at least `R` elements.
#[inline(always)]
pub(super) unsafe fn add_products<S: Simd, const R: usize>(
    quads: &[[[u8; 4]; PANEL]; BLOCK / 4],
    scales: [S::V; 2],
    x: &[Q8Activations],
    sums: &mut TileSums<S, R>,
) {
    // SAFETY: the caller keeps the contract; a quadruple is two vectors.
    unsafe {
        let x = x.get_unchecked(..R);
        let mut dots = [[S::splat_i32(0); 2]; R];
        for (dots, x) in dots.iter_mut().zip(x) {
            *dots = [S::splat_i32(x.correction); 2];
        }
        for (quad, bytes) in quads.iter().enumerate() {
            let bytes = bytes.as_ptr();
            for (dots, x) in dots.iter_mut().zip(x) {
                dots[0] = S::dot_u8(dots[0], bytes, x.quads[quad]);
                dots[1] = S::dot_u8(dots[1], bytes.add(LANES), x.quads[quad]);
            }
        }
        for ((sums, dots), x) in sums.iter_mut().zip(&dots).zip(x) {
            let scale = S::splat(x.scale);
            for half in 0..2 {
                let factor = S::mul(scales[half], scale);
                sums[half] = S::fma(S::to_f32(dots[half]), factor, sums[half]);
            }
        }
    }
}
