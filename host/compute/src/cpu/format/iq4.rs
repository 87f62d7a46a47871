//! IQ4_NL and IQ4_XS of ggml: weights of four bits, each the index of one of sixteen unevenly spaced levels, with a
//! scale for every block.

use super::{
    PANEL, PanelStep, Prefetch, TileSums, WeightFormat,
    q8::{self, BLOCK, Q8Activations},
};
use crate::cpu::simd::{LANES, Simd};
use half::f16;

/// Blocks of 32 weights of four bits with one f32 scale.
///
/// The scale is f32 because the scale of an IQ4_XS block is an f16 times an integer of six bits, which f16 cannot hold
/// exactly. Inputs are rounded as for Q8_0.
pub(crate) struct Iq4;

/// The sixteen levels (`kvalues_iq4nl` of ggml's `ggml-common.h`).
const LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// The levels plus [`q8::OFFSET`], because byte products take unsigned weights.
const UNSIGNED_LEVELS: [u8; 16] = {
    let mut levels = [0; 16];
    let mut index = 0;
    while index < 16 {
        levels[index] = (LEVELS[index] as i32 + q8::OFFSET) as u8;
        index += 1;
    }
    levels
};

/// The layout of IQ4 blocks in a GGUF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Iq4Layout {
    /// IQ4_NL: 18 bytes for each 32 weights. An f16 scale, then 16 bytes with two weights each.
    Nl,
    /// IQ4_XS: 136 bytes for each 256 weights. An f16 scale, eight scales of six bits, then 128 bytes with two weights
    /// each.
    Xs,
}

/// 32 weights of a row.
struct Iq4Block<'a> {
    scale: f32,
    /// Weights 0 to 15 in the low halves of the bytes, 16 to 31 in the high halves.
    pairs: &'a [u8],
}

impl Iq4Layout {
    /// Returns block `index` of the bytes of a row.
    fn block(self, row: &[u8], index: usize) -> Iq4Block<'_> {
        match self {
            Self::Nl => {
                let block = &row[index * 18..][..18];
                Iq4Block { scale: half(block), pairs: &block[2..] }
            }
            Self::Xs => {
                let (block, part) = (&row[index / 8 * 136..][..136], index % 8);
                // The file stores the low four bits of each scale in half a byte, and the high two bits of all scales
                // in 16 bits.
                let low = block[4 + part / 2] >> (4 * (part % 2)) & 15;
                let high = u16::from_le_bytes([block[2], block[3]]) >> (2 * part) & 3;
                let scale = i32::from(low) + (i32::from(high) << 4) - 32;
                Iq4Block { scale: half(block) * scale as f32, pairs: &block[8 + 16 * part..][..16] }
            }
        }
    }
}

fn half(block: &[u8]) -> f32 {
    f16::from_le_bytes([block[0], block[1]]).to_f32()
}

/// A step of a panel: 32 inputs of 32 outputs.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Iq4Weights {
    /// Scale of each output.
    scales: [f32; PANEL],
    /// Quadruples of four inputs. Each byte holds a weight of quadruple 2i in its low half and one of quadruple 2i + 1
    /// in its high half.
    quads: [[[u8; 4]; PANEL]; BLOCK / 8],
}

impl Iq4Weights {
    /// Packs block `index` of the rows, one row for each output.
    pub(crate) fn from_rows(rows: &[Vec<u8>], index: usize, layout: Iq4Layout) -> Self {
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

impl WeightFormat for Iq4 {
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
        panel: &[PanelStep<Iq4Weights>],
        x: &[Q8Activations],
        _: Prefetch,
    ) -> TileSums<S, R> {
        let mut quads = [[[0u8; 4]; PANEL]; BLOCK / 4];
        // SAFETY: the caller keeps the contract; a step holds two vectors of scales and of each quadruple.
        unsafe {
            let mut sums = [[S::splat(0.0); 2]; R];
            for (index, PanelStep(weights)) in panel.iter().enumerate() {
                // Looked up once for all rows. The bytes then stay in the first-level cache.
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
