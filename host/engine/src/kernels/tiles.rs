//! Matrix products by tile registers ([`super::amx`]).

use super::{
    amx::{Sums, TILE_ROWS, Tiles},
    format::{Bf16, Format, PANEL, Step},
    parallel::{SharedRows, chunks, for_each_chunk},
    simd::{self, LANES, Simd, Task},
};
use half::bf16;
use std::ops::Range;

/// Pairs of tiles of rows that meet a panel while it is in the cache.
const PAIRS_A_GROUP: usize = 8;
/// Rows of a pair.
const PAIR: usize = 2 * TILE_ROWS;
/// Numbers that are sooner rounded by one thread than handed to several.
const WORTH_SHARING: usize = 1 << 15;

/// `x [rows, inputs]` to `[rows, outputs]`, plus the bias. A row's sums do not depend on the others.
pub fn product_bf16(
    panels: &[Step<<Bf16 as Format>::Weights>],
    x: &[f32],
    inputs: usize,
    outputs: usize,
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let (rows, steps) = (x.len() / inputs, Bf16::steps(inputs));
    let x = rounded(x, inputs, 2 * steps);
    let mut y: Vec<f32> = Vec::with_capacity(rows * outputs);
    let target = SharedRows::new(&mut y.spare_capacity_mut()[..rows * outputs], outputs);
    let panel_count = outputs.div_ceil(PANEL);
    let pairs = rows.div_ceil(PAIR);
    let groups = pairs.div_ceil(PAIRS_A_GROUP);
    for_each_chunk(groups * panel_count, |items| {
        let tiles = Tiles::new(super::amx::TILE_BYTES);
        let mut sums = Sums([[0.0; PANEL]; PAIR]);
        for item in items {
            let (group, panel) = (item / panel_count, item % panel_count);
            let weights = panels[panel * steps..][..steps].as_ptr().cast();
            let start = panel * PANEL;
            let width = PANEL.min(outputs - start);
            for pair in chunks(pairs, PAIRS_A_GROUP, group) {
                let first = pair * PAIR;
                let count = PAIR.min(rows - first);
                let x = x[first * 2 * steps..].as_ptr().cast();
                let (blocks, stride) = (steps / TILE_ROWS, 4 * steps);
                // SAFETY: the panel has `steps` steps; x has whole tiles of rows, filled up.
                unsafe {
                    if count > TILE_ROWS {
                        tiles.multiply_bf16::<true>(weights, blocks, x, stride, &mut sums);
                    } else {
                        tiles.multiply_bf16::<false>(weights, blocks, x, stride, &mut sums);
                    }
                }
                for (row, sums) in sums.0.iter_mut().take(count).enumerate() {
                    if let Some(bias) = bias {
                        for (sum, bias) in sums.iter_mut().zip(&bias[start..start + width]) {
                            *sum += bias;
                        }
                    }
                    // SAFETY: this row and panel belong to one item.
                    unsafe { target.copy((first + row) * outputs + start, &sums[..width]) };
                }
            }
        }
    });
    // SAFETY: every row and panel has been written.
    unsafe { y.set_len(rows * outputs) };
    y
}

/// Rows of `inputs` numbers as bf16 in rows of `width`, filled up with zeros to whole tiles of rows.
fn rounded(x: &[f32], inputs: usize, width: usize) -> Vec<bf16> {
    let rows = x.len() / inputs;
    let whole = rows.next_multiple_of(TILE_ROWS);
    let mut made: Vec<bf16> = Vec::with_capacity(whole * width);
    let out = SharedRows::new(&mut made.spare_capacity_mut()[..whole * width], width);
    let round = |range: Range<usize>| simd::run(Round { x, inputs, range, out: &out });
    if x.len() < WORTH_SHARING {
        round(0..whole);
    } else {
        for_each_chunk(whole, round);
    }
    // SAFETY: every row has been written.
    unsafe { made.set_len(whole * width) };
    made
}

struct Round<'a> {
    x: &'a [f32],
    inputs: usize,
    range: Range<usize>,
    out: &'a SharedRows<'a, bf16>,
}

impl Task for Round<'_> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        for row in self.range {
            let begin = (row * self.inputs).min(self.x.len());
            let x = &self.x[begin..self.x.len().min(begin + self.inputs)];
            // SAFETY: a row belongs to one range; whole vectors lie within it; `run` chose S.
            unsafe {
                let out = self.out.row(row);
                let (blocks, rest) = x.as_chunks::<LANES>();
                for (index, block) in blocks.iter().enumerate() {
                    let to = out[index * LANES..][..LANES].as_mut_ptr().cast();
                    S::store_bf16(S::load(block.as_ptr()), to);
                }
                let done = blocks.len() * LANES;
                for (out, &x) in out[done..].iter_mut().zip(rest) {
                    out.write(bf16::from_f32(x));
                }
                for out in &mut out[x.len()..] {
                    out.write(bf16::ZERO);
                }
            }
        }
    }
}
