//! Matrix products with tile registers ([`super::amx`]).

use super::{
    amx::{TILE_BYTES, TILE_ROWS, TileRegisters},
    format::{Bf16, PANEL, PanelStep, WeightFormat},
    simd::{self, LANES, Simd, SimdTask},
    threads::{SharedRows, chunk_range, share, share_until_stopped},
    vector_product::ProductTarget,
};
use crate::Result;
use half::bf16;
use std::ops::Range;

/// Pairs of tiles that are multiplied with a panel while it is in the cache.
const PAIRS_A_GROUP: usize = 8;
/// Rows of a pair of tiles.
const PAIR: usize = 2 * TILE_ROWS;

/// Computes `x Wᵀ (+ bias)` into the target. Each row's sums are the same whatever other rows there are.
///
/// # Shapes
/// - `panels`: the weight `[outputs, inputs]` in panels of 32 outputs
/// - `x`: `[rows, inputs]`
/// - `bias`: `[outputs]`
/// - `target`: `[rows, outputs]`, written
///
/// # Errors
/// [`crate::Error::Interrupted`] if the stop check returned true.
pub(super) fn product_bf16(
    panels: &[PanelStep<<Bf16 as WeightFormat>::Weights>],
    x: &RoundedRows,
    rows: usize,
    inputs: usize,
    outputs: usize,
    bias: Option<&[f32]>,
    target: &ProductTarget<'_>,
) -> Result<()> {
    let steps = Bf16::steps(inputs);
    let (blocks, x) = (steps / TILE_ROWS, &x.0);
    let panel_count = outputs.div_ceil(PANEL);
    let pairs = rows.div_ceil(PAIR);
    let groups = pairs.div_ceil(PAIRS_A_GROUP);
    share_until_stopped(rows * inputs * outputs, groups * panel_count, |items| {
        let tiles = TileRegisters::with_full_tiles();
        let mut sums = [[0f32; PANEL]; PAIR];
        for item in items {
            let (group, panel) = (item / panel_count, item % panel_count);
            let weights = panels[panel * steps..][..steps].as_ptr().cast();
            let start = panel * PANEL;
            let width = PANEL.min(outputs - start);
            for pair in chunk_range(pairs, PAIRS_A_GROUP, group) {
                let first = pair * PAIR;
                let count = PAIR.min(rows - first);
                let x = x[pair * blocks..].as_ptr().cast();
                // Full tiles are written directly to the target, others go through `sums`.
                let whole = !target.add && width == PANEL && count.is_multiple_of(TILE_ROWS);
                // SAFETY: the panel has `steps` steps, and x as many blocks for each pair; these rows
                // of the panel belong to one item.
                unsafe {
                    let (to, stride) = if whole {
                        let len = (count - 1) * target.stride + PANEL;
                        (target.memory.pointer(target.index(first, start), len), target.stride)
                    } else {
                        (sums.as_mut_ptr().cast(), PANEL)
                    };
                    if count > TILE_ROWS {
                        tiles.multiply_bf16::<true>(weights, blocks, x, to, stride);
                    } else {
                        tiles.multiply_bf16::<false>(weights, blocks, x, to, stride);
                    }
                    for (row, sums) in sums.iter().enumerate().take(count) {
                        if !whole {
                            target.store(first + row, start, &sums[..width]);
                        }
                        if let Some(bias) = bias {
                            let index = target.index(first + row, start);
                            let sums = target.memory.numbers(index, width).iter_mut();
                            for (sum, bias) in sums.zip(&bias[start..]) {
                                *sum += bias;
                            }
                        }
                    }
                }
            }
        }
    })
}

/// Inputs of a block: one row of a tile register.
const BLOCK: usize = TILE_BYTES / 2;
/// A block of inputs of 32 rows, which two tile registers load.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct TileBlock([[bf16; BLOCK]; PAIR]);

/// Rows of numbers, rounded to bf16 and padded with zeros. The layout is `[pairs of tiles, blocks]` of [`TileBlock`].
pub(super) struct RoundedRows(Vec<TileBlock>);

impl RoundedRows {
    /// Rounds rows of `inputs` numbers each.
    pub(super) fn new(x: &[f32], inputs: usize) -> Self {
        let pairs = (x.len() / inputs).div_ceil(PAIR);
        let blocks = Bf16::steps(inputs) / TILE_ROWS;
        let mut made: Vec<TileBlock> = Vec::with_capacity(pairs * blocks);
        let out = SharedRows::new(&mut made.spare_capacity_mut()[..pairs * blocks], blocks);
        let round = |range: Range<usize>| simd::run(RoundTask { x, inputs, range, out: &out });
        share(x.len(), pairs, round);
        // SAFETY: every block has been written.
        unsafe { made.set_len(pairs * blocks) };
        Self(made)
    }
}

struct RoundTask<'a> {
    x: &'a [f32],
    inputs: usize,
    range: Range<usize>,
    out: &'a SharedRows<'a, TileBlock>,
}

impl SimdTask for RoundTask<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        for pair in self.range {
            // SAFETY: a pair belongs to one range.
            let blocks = unsafe { self.out.row(pair) };
            for (index, block) in blocks.iter_mut().enumerate() {
                let block = block.write(TileBlock([[bf16::ZERO; BLOCK]; PAIR]));
                for (row, out) in block.0.iter_mut().enumerate() {
                    let begin = (pair * PAIR + row) * self.inputs;
                    let Some(x) = self.x.get(begin..begin + self.inputs) else { break };
                    let x = &x[index * BLOCK..self.inputs.min((index + 1) * BLOCK)];
                    let (vectors, rest) = x.as_chunks::<LANES>();
                    for (vector, out) in vectors.iter().zip(out.as_chunks_mut::<LANES>().0) {
                        // SAFETY: both are sixteen numbers; `run` chose S.
                        unsafe { S::store_bf16(S::load(vector.as_ptr()), out.as_mut_ptr()) };
                    }
                    for (x, out) in rest.iter().zip(&mut out[vectors.len() * LANES..]) {
                        *out = bf16::from_f32(*x);
                    }
                }
            }
        }
    }
}
