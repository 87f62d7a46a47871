//! Weights that are packed in panels, and the rows that they are multiplied with.

use super::{
    format::{
        Bf16, Bf16Widened, F16, F32, Iq4, Iq4Layout, Iq4Weights, PANEL, PanelStep, Q8, Q8Weights,
        WeightFormat,
    },
    simd::InstructionSet,
    threads::{SharedRows, for_each_chunk},
    tile_product::{self, RoundedRows},
    vector_product::{ProductTarget, product},
};
use crate::Result;
use std::sync::OnceLock;

/// A weight matrix `[outputs, inputs]`, packed in panels of 32 outputs so that a product reads memory from end to end.
///
/// ```
/// use llem_compute::cpu::{PackedFormat, PackedWeight, ProductInput};
///
/// // Two outputs of three inputs: [1 2 3] and [4 5 6].
/// let rows = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
/// let read = |output: usize, row: &mut [f32]| row.copy_from_slice(&rows[output]);
/// let weight = PackedWeight::new(2, 3, PackedFormat::F32, &read);
///
/// let x = [1.0, 1.0, 1.0, 0.0, 1.0, 0.0];
/// let y = weight.product(&ProductInput::new(&x, 3), Some(&[0.5, 0.0]))?;
/// assert_eq!(y, [6.5, 15.0, 2.5, 5.0]);
/// # Ok::<(), llem_compute::Error>(())
/// ```
pub struct PackedWeight {
    outputs: usize,
    inputs: usize,
    panels: Panels,
}

enum Panels {
    F32(Vec<PanelStep<<F32 as WeightFormat>::Weights>>),
    F16(Vec<PanelStep<<F16 as WeightFormat>::Weights>>),
    Bf16(Vec<PanelStep<<Bf16 as WeightFormat>::Weights>>),
    Q8(Vec<PanelStep<Q8Weights>>),
    Iq4(Vec<PanelStep<Iq4Weights>>),
}

/// A number format that weights can be packed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackedFormat {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16. Sums are f32.
    F16,
    /// bfloat16. Inputs are rounded to bf16, sums are f32.
    Bf16,
}

/// Evaluates an expression with `$steps` bound to the panels and the type `$F` to their format.
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
            Panels::Iq4($steps) => {
                type $F = Iq4;
                $body
            }
        }
    };
}

impl PackedWeight {
    /// Packs a weight. `read` writes row `output` of the weight, `inputs` numbers; several threads call it at the same
    /// time.
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

    /// Packs a weight of Q8_0 blocks without changing its numbers. `read` returns a row as a GGUF file stores it: 34
    /// bytes for each 32 inputs.
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
                *step = std::mem::MaybeUninit::new(PanelStep(Q8Weights::from_blocks(&blocks)));
            }
        });
        Self { outputs, inputs, panels: Panels::Q8(panels) }
    }

    /// Packs a weight of IQ4_NL or IQ4_XS blocks without changing its numbers, which stay four bits wide. `read`
    /// returns a row as a GGUF file stores it.
    pub fn from_iq4_rows(
        outputs: usize,
        inputs: usize,
        layout: Iq4Layout,
        read: &(dyn Fn(usize) -> Vec<u8> + Sync),
    ) -> Self {
        let panels = pack_with(outputs, inputs / Iq4::DEPTH, &|panel, steps| {
            let first = panel * PANEL;
            let rows: Vec<_> = (first..outputs.min(first + PANEL)).map(read).collect();
            for (index, step) in steps.iter_mut().enumerate() {
                let weights = Iq4Weights::from_rows(&rows, index, layout);
                *step = std::mem::MaybeUninit::new(PanelStep(weights));
            }
        });
        Self { outputs, inputs, panels: Panels::Iq4(panels) }
    }

    /// Returns the number of inputs (columns).
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Unpacks row `output` into `out`, `inputs` numbers. Embeddings that are also the LM head are looked up this way.
    pub fn row(&self, output: usize, out: &mut [f32]) {
        for_format!(&self.panels, |steps: F| {
            let count = F::steps(self.inputs);
            let panel = &steps[output / PANEL * count..][..count];
            for (step, out) in panel.iter().zip(out.chunks_mut(F::DEPTH)) {
                F::unpack(&step.0, output % PANEL, out);
            }
        })
    }

    /// Multiplies rows with the weight: `y = x Wᵀ (+ bias)`.
    ///
    /// # Shapes
    /// - `x`: `[rows, inputs]`
    /// - `bias`: `[outputs]`
    /// - returns: `[rows, outputs]`
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] if the stop check of this thread returned true.
    pub fn product(&self, x: &ProductInput<'_>, bias: Option<&[f32]>) -> Result<Vec<f32>> {
        let count = x.numbers.len() / self.inputs * self.outputs;
        let mut y: Vec<f32> = Vec::with_capacity(count);
        let target = ProductTarget {
            memory: SharedRows::new(&mut y.spare_capacity_mut()[..count], self.outputs),
            stride: self.outputs,
            start: 0,
            rows: None,
            add: false,
        };
        self.product_into(x, bias, &target)?;
        // SAFETY: every row and panel has been written.
        unsafe { y.set_len(count) };
        Ok(y)
    }

    /// Adds a product to some rows of `y`: row i of the product to row `rows[i]`, from column `start` on.
    ///
    /// # Shapes
    /// - `x`: `[rows.len(), inputs]`
    /// - `y`: `[.., y.width()]`, with `start + outputs <= y.width()`
    /// - `rows`: indices of rows of `y`
    ///
    /// # Safety
    /// `y` is initialised, and no other thread touches those rows during the call.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] if the stop check of this thread returned true. Then only a part of the product
    /// has been added.
    pub unsafe fn add_product(
        &self,
        x: &ProductInput<'_>,
        y: &SharedRows<'_, f32>,
        start: usize,
        rows: &[u32],
    ) -> Result<()> {
        let target = ProductTarget {
            memory: y.reborrow(),
            stride: y.width(),
            start,
            rows: Some(rows),
            add: true,
        };
        self.product_into(x, None, &target)
    }

    fn product_into(
        &self,
        x: &ProductInput<'_>,
        bias: Option<&[f32]>,
        target: &ProductTarget<'_>,
    ) -> Result<()> {
        let (inputs, outputs) = (self.inputs, self.outputs);
        if let Panels::Bf16(steps) = &self.panels {
            return match InstructionSet::chosen() {
                InstructionSet::Amx => {
                    let (rounded, rows) = (x.rounded(), x.rows());
                    tile_product::product_bf16(steps, rounded, rows, inputs, outputs, bias, target)
                }
                InstructionSet::Avx512 => {
                    product::<Bf16>(steps, x.numbers, inputs, outputs, bias, target)
                }
                InstructionSet::Avx2 | InstructionSet::Portable => {
                    product::<Bf16Widened>(steps, x.numbers, inputs, outputs, bias, target)
                }
            };
        }
        let x = x.numbers;
        for_format!(&self.panels, |steps: F| product::<F>(steps, x, inputs, outputs, bias, target))
    }
}

/// Rows of numbers that are multiplied with one or more weights. The rounded copy that some products need is made once
/// and reused.
pub struct ProductInput<'a> {
    /// The numbers, `[rows, inputs]`.
    pub numbers: &'a [f32],
    inputs: usize,
    rounded: OnceLock<RoundedRows>,
}

impl<'a> ProductInput<'a> {
    /// Borrows rows of `inputs` numbers each.
    pub fn new(numbers: &'a [f32], inputs: usize) -> Self {
        Self { numbers, inputs, rounded: OnceLock::new() }
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.numbers.len() / self.inputs
    }

    fn rounded(&self) -> &RoundedRows {
        self.rounded.get_or_init(|| RoundedRows::new(self.numbers, self.inputs))
    }
}

fn pack<F: WeightFormat>(
    outputs: usize,
    inputs: usize,
    read: &(dyn Fn(usize, &mut [f32]) + Sync),
) -> Vec<PanelStep<F::Weights>> {
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
            *step = std::mem::MaybeUninit::new(PanelStep(F::pack(&window)));
        }
    })
}

type Uninit<W> = std::mem::MaybeUninit<PanelStep<W>>;

/// Allocates the panels of a weight and fills them in parallel. `fill` writes every step of the panel with the given
/// index.
fn pack_with<W: Copy + Send + Sync>(
    outputs: usize,
    steps: usize,
    fill: &(dyn Fn(usize, &mut [Uninit<W>]) + Sync),
) -> Vec<PanelStep<W>> {
    let panels = outputs.div_ceil(PANEL);
    let mut packed: Vec<PanelStep<W>> = Vec::with_capacity(panels * steps);
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

    /// The widths include some that no vector divides.
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
                    let ours = PackedWeight::new(outputs, inputs, format, &read)
                        .product(&ProductInput::new(&x, inputs), None)
                        .expect("nobody stops it");
                    for (ours, exact) in ours.iter().zip(exact(&x, &w, inputs)) {
                        let error = (f64::from(*ours) - exact).abs() / (inputs as f64).sqrt();
                        assert!(error < tolerance, "{format:?} {rows} {outputs} {inputs}: {error}");
                    }
                }
            }
        }
    }

    /// The weights are read back from the panels, so the only rounding error left is that of the inputs.
    #[test]
    fn products_with_blocks_of_four_bits_are_those_of_their_numbers() {
        for (layout, inputs, bytes) in [(Iq4Layout::Nl, 96, 3 * 18), (Iq4Layout::Xs, 512, 2 * 136)]
        {
            for (rows, outputs) in [(1, 65), (13, 32), (40, 70)] {
                let read = |row: usize| -> Vec<u8> {
                    let noise = |at: usize| ((row * bytes + at) as u32).wrapping_mul(0x9e37_79b9);
                    let mut row: Vec<u8> = (0..bytes).map(|at| (noise(at) >> 24) as u8).collect();
                    let block = if layout == Iq4Layout::Nl { 18 } else { 136 };
                    for block in row.chunks_mut(block) {
                        // 0.01 as f16, because a scale of random bits could have any size.
                        block[..2].copy_from_slice(&[0x1f, 0x21]);
                    }
                    row
                };
                let packed = PackedWeight::from_iq4_rows(outputs, inputs, layout, &read);
                let mut w = vec![0f32; outputs * inputs];
                for (output, row) in w.chunks_exact_mut(inputs).enumerate() {
                    packed.row(output, row);
                }
                let x = numbers(rows * inputs, 5);
                let most = w.iter().fold(0f32, |most, w| most.max(w.abs()));
                let ours = packed.product(&ProductInput::new(&x, inputs), None);
                for (ours, exact) in
                    ours.expect("nobody stops it").iter().zip(exact(&x, &w, inputs))
                {
                    let error = (f64::from(*ours) - exact).abs() / (inputs as f64).sqrt();
                    assert!(error < 5e-3 * f64::from(most), "{layout:?} {rows} {outputs}: {error}");
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
            let packed = PackedWeight::new(outputs, inputs, format, &read);
            let product = |x: &[f32]| {
                packed.product(&ProductInput::new(x, inputs), None).expect("nobody stops it")
            };
            let together = product(&x);
            for (row, together) in together.chunks(outputs).enumerate() {
                let alone = product(&x[row * inputs..][..inputs]);
                assert_eq!(alone, together, "{format:?}, row {row}");
            }
        }
    }
}
