//! Matrix products of rows with packed weights, with vectors.

use super::{
    format::{PANEL, PanelStep, Prefetch, TileSums, WeightFormat},
    simd::{self, LANES, Simd, SimdTask},
    threads::{SharedRows, chunk_range, share, share_until_stopped},
};
use crate::Result;
use std::cell::RefCell;

/// Where a product writes its sums.
pub(super) struct ProductTarget<'a> {
    /// The memory that is written.
    pub memory: SharedRows<'a, f32>,
    /// Numbers of a row of the memory.
    pub stride: usize,
    /// Column of the first output.
    pub start: usize,
    /// The row of the memory for each row of the product. `None` means the same rows.
    pub rows: Option<&'a [u32]>,
    /// Whether the sums are added to the numbers in memory instead of replacing them.
    pub add: bool,
}

impl ProductTarget<'_> {
    /// Returns the index in memory of one output of a row.
    #[inline(always)]
    pub(super) fn index(&self, row: usize, output: usize) -> usize {
        let row = self.rows.map_or(row, |rows| rows[row] as usize);
        row * self.stride + self.start + output
    }

    /// Writes or adds the sums of a row, the first of which is that of `output`.
    ///
    /// # Safety
    /// No other thread touches these numbers during the call. If sums are added, the memory is initialised.
    #[inline(always)]
    pub(super) unsafe fn store(&self, row: usize, output: usize, sums: &[f32]) {
        let index = self.index(row, output);
        // SAFETY: the caller keeps this function's contract.
        unsafe {
            if self.add {
                let numbers = self.memory.numbers(index, sums.len());
                numbers.iter_mut().zip(sums).for_each(|(number, sum)| *number += sum);
            } else {
                self.memory.copy(index, sums);
            }
        }
    }
}

/// Row tiles of a group. Groups share out the work if there are few panels and many threads.
const TILES_A_GROUP: usize = 8;

/// Computes `x Wᵀ (+ bias)` into the target.
///
/// # Shapes
/// - `panels`: the weight `[outputs, inputs]` in panels of 32 outputs
/// - `x`: `[rows, inputs]`
/// - `bias`: `[outputs]`
/// - `target`: `[rows, outputs]`, written
///
/// # Errors
/// [`crate::Error::Interrupted`] if the stop check returned true. Then a part of the target is not written.
pub(super) fn product<F: WeightFormat>(
    panels: &[PanelStep<F::Weights>],
    x: &[f32],
    inputs: usize,
    outputs: usize,
    bias: Option<&[f32]>,
    target: &ProductTarget<'_>,
) -> Result<()> {
    let rows = x.len() / inputs;
    let tiles = RowTiles::new(rows, most_rows::<F>());
    let amount = x.len() * outputs;
    let x = arrange::<F>(x, inputs, &tiles);
    let steps = F::steps(inputs);
    let panel_count = outputs.div_ceil(PANEL);
    let groups = tiles.count.div_ceil(TILES_A_GROUP).max(1);
    // A panel stays in the cache while it is multiplied with all tiles of a group.
    share_until_stopped(amount, groups * panel_count, |items| {
        simd::run(MultiplyTask::<F> {
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

/// Returns the most rows of a tile with the chosen instruction set.
fn most_rows<F: WeightFormat>() -> usize {
    if simd::InstructionSet::chosen().is_split() { F::SPLIT_ROWS } else { F::ROWS }
}

/// Cuts rows into tiles of nearly equal height.
struct RowTiles {
    rows: usize,
    count: usize,
}

impl RowTiles {
    fn new(rows: usize, most: usize) -> Self {
        Self { rows, count: rows.div_ceil(most) }
    }

    /// Returns the rows of a tile.
    fn range(&self, tile: usize) -> std::ops::Range<usize> {
        let start = |tile: usize| tile * self.rows / self.count;
        start(tile)..start(tile + 1)
    }
}

/// Rounds and reorders the rows for the inner loop: tile by tile, in a tile step by step, in a step row by row.
fn arrange<F: WeightFormat>(x: &[f32], inputs: usize, tiles: &RowTiles) -> Vec<F::Activations> {
    let steps = F::steps(inputs);
    let mut arranged: Vec<F::Activations> = Vec::with_capacity(tiles.rows * steps);
    let target = SharedRows::new(&mut arranged.spare_capacity_mut()[..tiles.rows * steps], steps);
    share(x.len(), tiles.count, |range| {
        simd::run(ArrangeTask::<F> { x, inputs, steps, tiles, range, target: &target });
    });
    // SAFETY: every place has been written.
    unsafe { arranged.set_len(tiles.rows * steps) };
    arranged
}

thread_local! {
    /// A rounded row. Its memory is reused from call to call.
    static ROUNDED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

struct ArrangeTask<'a, F: WeightFormat> {
    x: &'a [f32],
    inputs: usize,
    steps: usize,
    tiles: &'a RowTiles,
    range: std::ops::Range<usize>,
    target: &'a SharedRows<'a, F::Activations>,
}

impl<F: WeightFormat> SimdTask for ArrangeTask<'_, F> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        // Taken, not borrowed: `RefCell::with` needs a closure, which would be compiled without the target features.
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

struct MultiplyTask<'a, F: WeightFormat> {
    panels: &'a [PanelStep<F::Weights>],
    steps: usize,
    x: &'a [F::Activations],
    tiles: &'a RowTiles,
    bias: Option<&'a [f32]>,
    outputs: usize,
    items: std::ops::Range<usize>,
    panel_count: usize,
    target: &'a ProductTarget<'a>,
}

impl<F: WeightFormat> SimdTask for MultiplyTask<'_, F> {
    #[inline(always)]
    fn run<S: Simd>(self) {
        let most = if S::IS_SPLIT { F::SPLIT_ROWS } else { F::ROWS };
        for item in self.items.clone() {
            let (group, panel) = (item / self.panel_count, item % self.panel_count);
            let tiles = chunk_range(self.tiles.count, TILES_A_GROUP, group);
            let parts = tiles.len();
            for (part, tile) in tiles.enumerate() {
                let rows = self.tiles.range(tile);
                let prefetch = if parts > 1 && panel + 1 < self.panel_count {
                    let next = &self.panels[(panel + 1) * self.steps..][..self.steps];
                    Prefetch::part(next, part, parts, self.steps)
                } else {
                    Prefetch::NOTHING
                };
                // SAFETY: `run` chose S for this processor.
                unsafe {
                    match rows.len() {
                        1 => self.tile::<S, 1>(panel, rows.start, prefetch),
                        2 => self.tile::<S, 2>(panel, rows.start, prefetch),
                        3 => self.tile::<S, 3>(panel, rows.start, prefetch),
                        4 => self.tile::<S, 4>(panel, rows.start, prefetch),
                        5 => self.tile::<S, 5>(panel, rows.start, prefetch),
                        6 => self.tile::<S, 6>(panel, rows.start, prefetch),
                        7 if most > 6 => self.tile::<S, 7>(panel, rows.start, prefetch),
                        8 if most > 6 => self.tile::<S, 8>(panel, rows.start, prefetch),
                        9 if most > 6 => self.tile::<S, 9>(panel, rows.start, prefetch),
                        10 if most > 6 => self.tile::<S, 10>(panel, rows.start, prefetch),
                        11 if most > 6 => self.tile::<S, 11>(panel, rows.start, prefetch),
                        12 if most > 6 => self.tile::<S, 12>(panel, rows.start, prefetch),
                        height => unreachable!("a tile of {height} rows"),
                    }
                }
            }
        }
    }
}

impl<F: WeightFormat> MultiplyTask<'_, F> {
    /// Multiplies one tile of rows with one panel and writes the sums.
    ///
    /// # Safety
    /// The processor has `S`, and rows `first..first + R` are a tile.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize>(&self, panel: usize, first: usize, prefetch: Prefetch) {
        let weights = &self.panels[panel * self.steps..][..self.steps];
        let x = &self.x[first * self.steps..][..R * self.steps];
        // SAFETY: the caller keeps the contract; x is R times as long as the panel.
        let sums: TileSums<S, R> = unsafe { F::multiply::<S, R>(weights, x, prefetch) };
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
            unsafe { self.target.store(first + row, start, &values[..width]) };
        }
    }
}
