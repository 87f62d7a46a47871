//! IQ4_NL and IQ4_XS of ggml: numbers of four bits that stand for unevenly spaced ones, under a scale each.

use super::{
    Ahead, Format, PANEL, Step, Sums,
    q8::{self, BLOCK, Q8Activations},
};
use crate::cpu::simd::{LANES, Simd};
use half::f16;

/// Blocks of 32 numbers of four bits under one f32 scale. An IQ4_XS block's scale is a product of an f16 and six bits,
/// which f16 does not hold. Activations are rounded as for Q8_0.
pub struct Iq4;

/// What the sixteen numbers stand for (`kvalues_iq4nl` of ggml's `ggml-common.h`).
const LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// The same as the products of bytes take them.
const UNSIGNED_LEVELS: [u8; 16] = {
    let mut levels = [0; 16];
    let mut index = 0;
    while index < 16 {
        levels[index] = (LEVELS[index] as i32 + q8::OFFSET) as u8;
        index += 1;
    }
    levels
};

/// How a GGUF file lays blocks out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iq4Layout {
    /// 18 bytes for each 32 numbers: an f16 scale, and 16 bytes of two numbers.
    Nl,
    /// 136 bytes for each 256 numbers: an f16 scale, a scale of six bits for each 32, and 128 bytes of two numbers.
    Xs,
}

/// 32 numbers of a row.
struct Block<'a> {
    scale: f32,
    /// Numbers 0 to 15 in the low half of each byte, 16 to 31 in the high half.
    pairs: &'a [u8],
}

impl Iq4Layout {
    /// Block `index` of a row's bytes.
    fn block(self, row: &[u8], index: usize) -> Block<'_> {
        match self {
            Self::Nl => {
                let block = &row[index * 18..][..18];
                Block { scale: half(block), pairs: &block[2..] }
            }
            Self::Xs => {
                let (block, part) = (&row[index / 8 * 136..][..136], index % 8);
                // Four low bits of each scale in a half byte, then two high bits of each in a number of 16 bits.
                let low = block[4 + part / 2] >> (4 * (part % 2)) & 15;
                let high = u16::from_le_bytes([block[2], block[3]]) >> (2 * part) & 3;
                let scale = i32::from(low) + (i32::from(high) << 4) - 32;
                Block { scale: half(block) * scale as f32, pairs: &block[8 + 16 * part..][..16] }
            }
        }
    }
}

fn half(block: &[u8]) -> f32 {
    f16::from_le_bytes([block[0], block[1]]).to_f32()
}

/// 32 inputs of a panel.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Iq4Weights {
    /// Of each output.
    scales: [f32; PANEL],
    /// Four inputs of each output, eight times: of each two quadruples the first in the low half of its bytes.
    quads: [[[u8; 4]; PANEL]; BLOCK / 8],
}

impl Iq4Weights {
    /// Block `index` of the rows of each output.
    pub fn from_rows(rows: &[Vec<u8>], index: usize, layout: Iq4Layout) -> Self {
        let mut weights = Self { scales: [0.0; PANEL], quads: [[[0; 4]; PANEL]; BLOCK / 8] };
        for (output, row) in rows.iter().enumerate() {
            let block = layout.block(row, index);
            weights.scales[output] = block.scale;
            for input in 0..BLOCK {
                let number = block.pairs[input % 16] >> (input / 16 * 4) & 15;
                let quad = input / 4;
                weights.quads[quad / 2][output][input % 4] |= number << (quad % 2 * 4);
            }
        }
        weights
    }
}

impl Format for Iq4 {
    type Weights = Iq4Weights;
    type Activations = Q8Activations;
    const DEPTH: usize = BLOCK;
    const ROWS: usize = 6;
    const SPLIT_ROWS: usize = 6;

    fn pack(_: &[[f32; 32]; PANEL]) -> Iq4Weights {
        unreachable!("weights are read in this format and never rounded to it")
    }

    fn unpack(weights: &Iq4Weights, output: usize, inputs: &mut [f32]) {
        let scale = weights.scales[output];
        for (index, input) in inputs.iter_mut().enumerate() {
            let quad = index / 4;
            let number = weights.quads[quad / 2][output][index % 4] >> (quad % 2 * 4) & 15;
            *input = scale * f32::from(LEVELS[usize::from(number)]);
        }
    }

    #[inline(always)]
    fn activate(x: &[f32]) -> Q8Activations {
        q8::activate(x)
    }

    #[inline(always)]
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[Step<Iq4Weights>],
        x: &[Q8Activations],
        _: Ahead,
    ) -> Sums<S, R> {
        let mut quads = [[[0u8; 4]; PANEL]; BLOCK / 4];
        // SAFETY: the caller's; a step holds two vectors of scales and of each quadruple.
        unsafe {
            let mut sums = [[S::splat(0.0); 2]; R];
            for (index, Step(weights)) in panel.iter().enumerate() {
                // Once a step for all rows: the bytes stay in the nearest cache.
                for (pair, halves) in weights.quads.iter().enumerate() {
                    for half in 0..2 {
                        let at = half * LANES;
                        let low = quads[2 * pair].as_mut_ptr().add(at);
                        let high = quads[2 * pair + 1].as_mut_ptr().add(at);
                        S::look_up(&UNSIGNED_LEVELS, halves.as_ptr().add(at), low, high);
                    }
                }
                let scales = weights.scales.as_ptr();
                let scales = [S::load(scales), S::load(scales.add(LANES))];
                q8::add_products::<S, R>(&quads, scales, &x[index * R..], &mut sums);
            }
            sums
        }
    }
}
