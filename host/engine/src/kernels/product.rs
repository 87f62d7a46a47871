//! Matrix products with packed weights.

use super::{
    amx,
    format::{Ahead, Bf16, F16, F32, Format, PANEL, Q8, Q8Weights, Step, Sums},
    parallel::{SharedRows, chunks, for_each_chunk, share},
    simd::{self, LANES, Simd, Task},
    tiles,
};

/// A weight `[outputs, inputs]` in panels.
pub struct Packed {
    outputs: usize,
    inputs: usize,
    panels: Panels,
}

enum Panels {
    F32(Vec<Step<<F32 as Format>::Weights>>),
    F16(Vec<Step<<F16 as Format>::Weights>>),
    Bf16(Vec<Step<<Bf16 as Format>::Weights>>),
    Q8(Vec<Step<Q8Weights>>),
}

/// A number format to pack weights in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackedFormat {
    /// 32 bits.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// bfloat16.
    Bf16,
}

/// Calls an expression with `$steps` bound to the panels and `$F` to their format.
macro_rules! for_format {
    ($panels:expr, |$steps:ident: $F:ident| $body:expr) => {
        match $panels {
            Panels::F32($steps) => {
                type $F = F32;
                $body
            }
            Panels::F16($steps) => {
                type $F = F16;
                $body
            }
            Panels::Bf16($steps) => {
                type $F = Bf16;
                $body
            }
            Panels::Q8($steps) => {
                type $F = Q8;
                $body
            }
        }
    };
}

impl Packed {
    /// Packs the rows that `read` gives, each `inputs` numbers.
    pub fn new(
        outputs: usize,
        inputs: usize,
        format: PackedFormat,
        read: &(dyn Fn(usize, &mut [f32]) + Sync),
    ) -> Self {
        let panels = match format {
            PackedFormat::F32 => Panels::F32(pack::<F32>(outputs, inputs, read)),
            PackedFormat::F16 => Panels::F16(pack::<F16>(outputs, inputs, read)),
            PackedFormat::Bf16 => Panels::Bf16(pack::<Bf16>(outputs, inputs, read)),
        };
        Self { outputs, inputs, panels }
    }

    /// Packs rows of Q8_0 blocks as a GGUF file keeps them: 34 bytes for each 32 inputs.
    pub fn from_q8_rows(
        outputs: usize,
        inputs: usize,
        read: &(dyn Fn(usize) -> Vec<u8> + Sync),
    ) -> Self {
        let panels = pack_with(outputs, inputs / Q8::DEPTH, &|panel, steps| {
            let first = panel * PANEL;
            let rows: Vec<_> = (first..outputs.min(first + PANEL)).map(read).collect();
            for (index, step) in steps.iter_mut().enumerate() {
                let blocks = std::array::from_fn(|output| {
                    rows.get(output).map(|row| &row[index * Q8Weights::BYTES..][..Q8Weights::BYTES])
                });
                *step = std::mem::MaybeUninit::new(Step(Q8Weights::from_blocks(&blocks)));
            }
        });
        Self { outputs, inputs, panels: Panels::Q8(panels) }
    }

    /// Input features.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// One row, `inputs` numbers: an embedding that is also the LM head is looked up here.
    pub fn row(&self, output: usize, out: &mut [f32]) {
        for_format!(&self.panels, |steps: F| {
            let count = F::steps(self.inputs);
            let panel = &steps[output / PANEL * count..][..count];
            for (step, out) in panel.iter().zip(out.chunks_mut(F::DEPTH)) {
                F::unpack(&step.0, output % PANEL, out);
            }
        })
    }

    /// `x [rows, inputs]` to `[rows, outputs]`, plus the bias.
    pub fn product(&self, x: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let count = x.len() / self.inputs * self.outputs;
        let mut y: Vec<f32> = Vec::with_capacity(count);
        let target = Target {
            memory: SharedRows::new(&mut y.spare_capacity_mut()[..count], self.outputs),
            stride: self.outputs,
            start: 0,
            rows: None,
            add: false,
        };
        self.product_into(x, bias, &target);
        // SAFETY: every row and panel has been written.
        unsafe { y.set_len(count) };
        y
    }

    /// Adds the product of `x [rows.len(), inputs]` to those rows of `y`, from the number `start` of each
    /// on.
    ///
    /// # Safety
    /// `y` holds numbers, and no other thread touches those rows meanwhile.
    pub unsafe fn add_product(
        &self,
        x: &[f32],
        y: &SharedRows<'_, f32>,
        start: usize,
        rows: &[u32],
    ) {
        let target =
            Target { memory: y.again(), stride: y.width(), start, rows: Some(rows), add: true };
        self.product_into(x, None, &target);
    }

    fn product_into(&self, x: &[f32], bias: Option<&[f32]>, target: &Target<'_>) {
        let (inputs, outputs) = (self.inputs, self.outputs);
        if let (Panels::Bf16(steps), true) = (&self.panels, amx::available()) {
            tiles::product_bf16(steps, x, inputs, outputs, bias, target);
            return;
        }
        for_format!(&self.panels, |steps: F| product::<F>(steps, x, inputs, outputs, bias, target));
    }
}

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

fn pack<F: Format>(
    outputs: usize,
    inputs: usize,
    read: &(dyn Fn(usize, &mut [f32]) + Sync),
) -> Vec<Step<F::Weights>> {
    pack_with(outputs, F::steps(inputs), &|panel, steps| {
        let mut rows = vec![0f32; PANEL * inputs];
        for (output, row) in rows.chunks_exact_mut(inputs).enumerate() {
            if panel * PANEL + output < outputs {
                read(panel * PANEL + output, row);
            }
        }
        let mut window = [[0f32; 32]; PANEL];
        for (index, step) in steps.iter_mut().enumerate() {
            let first = (index * F::DEPTH).min(inputs);
            let count = F::DEPTH.min(inputs - first);
            for (window, row) in window.iter_mut().zip(rows.chunks_exact(inputs)) {
                window[..count].copy_from_slice(&row[first..first + count]);
                window[count..F::DEPTH].fill(0.0);
            }
            *step = std::mem::MaybeUninit::new(Step(F::pack(&window)));
        }
    })
}

type Uninit<W> = std::mem::MaybeUninit<Step<W>>;

/// Fills the panels of a weight side by side; `fill` writes every step of its panel.
fn pack_with<W: Copy + Send + Sync>(
    outputs: usize,
    steps: usize,
    fill: &(dyn Fn(usize, &mut [Uninit<W>]) + Sync),
) -> Vec<Step<W>> {
    let panels = outputs.div_ceil(PANEL);
    let mut packed: Vec<Step<W>> = Vec::with_capacity(panels * steps);
    let rows = SharedRows::new(&mut packed.spare_capacity_mut()[..panels * steps], steps);
    for_each_chunk(panels, |range| {
        for panel in range {
            // SAFETY: each panel is in one chunk only.
            fill(panel, unsafe { rows.row(panel) });
        }
    });
    // SAFETY: `fill` has written every step.
    unsafe { packed.set_len(panels * steps) };
    packed
}

/// Rows by which panels are shared out where there are few panels for many threads.
const TILES_A_GROUP: usize = 8;

fn product<F: Format>(
    panels: &[Step<F::Weights>],
    x: &[f32],
    inputs: usize,
    outputs: usize,
    bias: Option<&[f32]>,
    target: &Target<'_>,
) {
    let rows = x.len() / inputs;
    let tiles = Tiles::new(rows, F::ROWS);
    let amount = x.len() * outputs;
    let x = arrange::<F>(x, inputs, &tiles);
    let steps = F::steps(inputs);
    let panel_count = outputs.div_ceil(PANEL);
    let groups = tiles.count.div_ceil(TILES_A_GROUP).max(1);
    // A panel stays in the cache while it meets the tiles of a group.
    share(amount, groups * panel_count, |items| {
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
    });
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
        for tile in self.range {
            let rows = self.tiles.range(tile);
            for row in rows.clone() {
                let numbers = &self.x[row * self.inputs..][..self.inputs];
                for step in 0..self.steps {
                    let begin = (step * F::DEPTH).min(self.inputs);
                    let x = &numbers[begin..self.inputs.min(begin + F::DEPTH)];
                    let place = rows.start * self.steps + step * rows.len() + row - rows.start;
                    // SAFETY: a place belongs to one row and step.
                    unsafe { self.target.write(place, F::activate(x)) };
                }
            }
        }
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
                        7 if F::ROWS > 6 => self.tile::<S, 7>(panel, rows.start, ahead),
                        8 if F::ROWS > 6 => self.tile::<S, 8>(panel, rows.start, ahead),
                        9 if F::ROWS > 6 => self.tile::<S, 9>(panel, rows.start, ahead),
                        10 if F::ROWS > 6 => self.tile::<S, 10>(panel, rows.start, ahead),
                        11 if F::ROWS > 6 => self.tile::<S, 11>(panel, rows.start, ahead),
                        12 if F::ROWS > 6 => self.tile::<S, 12>(panel, rows.start, ahead),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers in ±1 from a multiplicative hash, the same on every machine.
    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let number = |index: usize| {
            let bits = (index as u32 ^ seed).wrapping_mul(0x9e37_79b9).rotate_left(13);
            bits.wrapping_mul(0x85eb_ca6b) as f32 / u32::MAX as f32 * 2.0 - 1.0
        };
        (0..count).map(number).collect()
    }

    fn exact(x: &[f32], w: &[f32], inputs: usize) -> Vec<f64> {
        let dot = |x: &[f32], w: &[f32]| -> f64 {
            x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum()
        };
        x.chunks(inputs).flat_map(|x| w.chunks(inputs).map(move |w| dot(x, w))).collect()
    }

    /// Products in each format, for widths that no vector divides, are within its rounding.
    #[test]
    fn products_are_those_of_f64_within_the_formats_rounding() {
        for (format, tolerance) in
            [(PackedFormat::F32, 4e-6), (PackedFormat::F16, 5e-4), (PackedFormat::Bf16, 4e-3)]
        {
            for rows in [1, 3, 12, 13, 40, 120] {
                for (outputs, inputs) in [(1, 5), (65, 96), (130, 257)] {
                    let (x, w) = (numbers(rows * inputs, 1), numbers(outputs * inputs, 2));
                    let read = |row: usize, out: &mut [f32]| {
                        out.copy_from_slice(&w[row * inputs..][..inputs]);
                    };
                    let ours = Packed::new(outputs, inputs, format, &read).product(&x, None);
                    for (ours, exact) in ours.iter().zip(exact(&x, &w, inputs)) {
                        let error = (f64::from(*ours) - exact).abs() / (inputs as f64).sqrt();
                        assert!(error < tolerance, "{format:?} {rows} {outputs} {inputs}: {error}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_its_neighbours() {
        let (outputs, inputs) = (70, 96);
        let (x, w) = (numbers(50 * inputs, 3), numbers(outputs * inputs, 4));
        let read = |row: usize, out: &mut [f32]| out.copy_from_slice(&w[row * inputs..][..inputs]);
        for format in [PackedFormat::F32, PackedFormat::F16, PackedFormat::Bf16] {
            let packed = Packed::new(outputs, inputs, format, &read);
            let together = packed.product(&x, None);
            for (row, together) in together.chunks(outputs).enumerate() {
                let alone = packed.product(&x[row * inputs..][..inputs], None);
                assert_eq!(alone, together, "{format:?}, row {row}");
            }
        }
    }
}
