//! Matrix products with packed weights, by vectors.

use super::{
    format::{Ahead, Format, PANEL, Step, Sums},
    parallel::{SharedRows, chunks, share, share_until_stopped},
    simd::{self, LANES, Simd, Task},
};
use crate::Result;
use std::cell::RefCell;

/// Where the sums of a product go.
pub(super) struct Target<'a> {
    /// The memory that they are part of.
    pub memory: SharedRows<'a, f32>,
    /// Numbers of a row there.
    pub stride: usize,
    /// Where the first output goes within a row.
    pub start: usize,
    /// Which rows there; none means all of them.
    pub rows: Option<&'a [u32]>,
    /// Whether they are added to the numbers that are there.
    pub add: bool,
}

impl Target<'_> {
    /// Where an output of a row goes.
    #[inline(always)]
    pub fn place(&self, row: usize, output: usize) -> usize {
        let row = self.rows.map_or(row, |rows| rows[row] as usize);
        row * self.stride + self.start + output
    }

    /// Takes sums of a row, those from `output` on.
    ///
    /// # Safety
    /// No other thread touches them meanwhile, and where sums are added there are numbers.
    #[inline(always)]
    pub unsafe fn take(&self, row: usize, output: usize, sums: &[f32]) {
        let place = self.place(row, output);
        // SAFETY: the caller's.
        unsafe {
            if self.add {
                let numbers = self.memory.numbers(place, sums.len());
                numbers.iter_mut().zip(sums).for_each(|(number, sum)| *number += sum);
            } else {
                self.memory.copy(place, sums);
            }
        }
    }
}

/// Rows by which panels are shared out where there are few panels for many threads.
const TILES_A_GROUP: usize = 8;

/// `x [rows, inputs]` to `[rows, outputs]`, plus the bias. Where it is stopped, part of the target is not written.
pub(super) fn product<F: Format>(
    panels: &[Step<F::Weights>],
    x: &[f32],
    inputs: usize,
    outputs: usize,
    bias: Option<&[f32]>,
    target: &Target<'_>,
) -> Result<()> {
    let rows = x.len() / inputs;
    let tiles = Tiles::new(rows, most_rows::<F>());
    let amount = x.len() * outputs;
    let x = arrange::<F>(x, inputs, &tiles);
    let steps = F::steps(inputs);
    let panel_count = outputs.div_ceil(PANEL);
    let groups = tiles.count.div_ceil(TILES_A_GROUP).max(1);
    // A panel stays in the cache while it meets the tiles of a group.
    share_until_stopped(amount, groups * panel_count, |items| {
        simd::run(Multiply::<F> {
            panels,
            steps,
            x: &x,
            tiles: &tiles,
            bias,
            outputs,
            items,
            panel_count,
            target,
        });
    })
}

/// Most rows of a tile on the chosen path.
fn most_rows<F: Format>() -> usize {
    if simd::Path::chosen().is_split() { F::SPLIT_ROWS } else { F::ROWS }
}

/// Rows in tiles of nearly equal height.
struct Tiles {
    rows: usize,
    count: usize,
}

impl Tiles {
    fn new(rows: usize, most: usize) -> Self {
        Self { rows, count: rows.div_ceil(most) }
    }

    /// The rows of a tile.
    fn range(&self, tile: usize) -> std::ops::Range<usize> {
        let start = |tile: usize| tile * self.rows / self.count;
        start(tile)..start(tile + 1)
    }
}

/// Activations tile by tile, in each step by step, in each row by row.
fn arrange<F: Format>(x: &[f32], inputs: usize, tiles: &Tiles) -> Vec<F::Activations> {
    let steps = F::steps(inputs);
    let mut arranged: Vec<F::Activations> = Vec::with_capacity(tiles.rows * steps);
    let target = SharedRows::new(&mut arranged.spare_capacity_mut()[..tiles.rows * steps], steps);
    share(x.len(), tiles.count, |range| {
        simd::run(Arrange::<F> { x, inputs, steps, tiles, range, target: &target });
    });
    // SAFETY: every place has been written.
    unsafe { arranged.set_len(tiles.rows * steps) };
    arranged
}

thread_local! {
    /// A row of activations, kept from one to the next.
    static ROUNDED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

struct Arrange<'a, F: Format> {
    x: &'a [f32],
    inputs: usize,
    steps: usize,
    tiles: &'a Tiles,
    range: std::ops::Range<usize>,
    target: &'a SharedRows<'a, F::Activations>,
}

impl<F: Format> Task for Arrange<'_, F> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        // Taken rather than borrowed: a closure would be compiled without the instruction set.
        let mut rounded = ROUNDED.take();
        rounded.resize(self.inputs.next_multiple_of(LANES), 0.0);
        for tile in self.range {
            let rows = self.tiles.range(tile);
            for row in rows.clone() {
                rounded[..self.inputs].copy_from_slice(&self.x[row * self.inputs..][..self.inputs]);
                for vector in rounded.chunks_exact_mut(LANES) {
                    let at = vector.as_mut_ptr();
                    // SAFETY: `run` chose S, and a chunk is one vector.
                    unsafe { S::store(F::round::<S>(S::load(at)), at) };
                }
                let mut numbers = rounded[..self.inputs].chunks(F::DEPTH);
                let first = rows.start * self.steps + row - rows.start;
                for step in 0..self.steps {
                    let x = numbers.next().unwrap_or_default();
                    // SAFETY: a place belongs to one row and step.
                    unsafe { self.target.write(first + step * rows.len(), F::activate(x)) };
                }
            }
        }
        ROUNDED.set(rounded);
    }
}

struct Multiply<'a, F: Format> {
    panels: &'a [Step<F::Weights>],
    steps: usize,
    x: &'a [F::Activations],
    tiles: &'a Tiles,
    bias: Option<&'a [f32]>,
    outputs: usize,
    items: std::ops::Range<usize>,
    panel_count: usize,
    target: &'a Target<'a>,
}

impl<F: Format> Task for Multiply<'_, F> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let most = if S::IS_SPLIT { F::SPLIT_ROWS } else { F::ROWS };
        for item in self.items.clone() {
            let (group, panel) = (item / self.panel_count, item % self.panel_count);
            let tiles = chunks(self.tiles.count, TILES_A_GROUP, group);
            let parts = tiles.len();
            for (part, tile) in tiles.enumerate() {
                let rows = self.tiles.range(tile);
                let ahead = if parts > 1 && panel + 1 < self.panel_count {
                    let next = &self.panels[(panel + 1) * self.steps..][..self.steps];
                    Ahead::part(next, part, parts, self.steps)
                } else {
                    Ahead::NOTHING
                };
                // SAFETY: `run` chose S for this processor.
                unsafe {
                    match rows.len() {
                        1 => self.tile::<S, 1>(panel, rows.start, ahead),
                        2 => self.tile::<S, 2>(panel, rows.start, ahead),
                        3 => self.tile::<S, 3>(panel, rows.start, ahead),
                        4 => self.tile::<S, 4>(panel, rows.start, ahead),
                        5 => self.tile::<S, 5>(panel, rows.start, ahead),
                        6 => self.tile::<S, 6>(panel, rows.start, ahead),
                        7 if most > 6 => self.tile::<S, 7>(panel, rows.start, ahead),
                        8 if most > 6 => self.tile::<S, 8>(panel, rows.start, ahead),
                        9 if most > 6 => self.tile::<S, 9>(panel, rows.start, ahead),
                        10 if most > 6 => self.tile::<S, 10>(panel, rows.start, ahead),
                        11 if most > 6 => self.tile::<S, 11>(panel, rows.start, ahead),
                        12 if most > 6 => self.tile::<S, 12>(panel, rows.start, ahead),
                        height => unreachable!("a tile of {height} rows"),
                    }
                }
            }
        }
    }
}

impl<F: Format> Multiply<'_, F> {
    /// # Safety
    /// The processor has `S`, and rows `first..first + R` are a tile.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize>(&self, panel: usize, first: usize, ahead: Ahead) {
        let weights = &self.panels[panel * self.steps..][..self.steps];
        let x = &self.x[first * self.steps..][..R * self.steps];
        // SAFETY: the caller's; x is R times as long as the panel.
        let sums: Sums<S, R> = unsafe { F::multiply::<S, R>(weights, x, ahead) };
        let start = panel * PANEL;
        let width = PANEL.min(self.outputs - start);
        for (row, sums) in sums.iter().enumerate() {
            let mut values = [0f32; PANEL];
            // SAFETY: the array holds two vectors.
            unsafe {
                S::store(sums[0], values.as_mut_ptr());
                S::store(sums[1], values.as_mut_ptr().add(LANES));
            }
            if let Some(bias) = self.bias {
                for (value, bias) in values.iter_mut().zip(&bias[start..start + width]) {
                    *value += bias;
                }
            }
            // SAFETY: this row and panel belong to one item.
            unsafe { self.target.take(first + row, start, &values[..width]) };
        }
    }
}
