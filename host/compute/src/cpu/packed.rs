//! Weights in panels, and what they are multiplied with.

use super::{
    format::{
        Bf16, Bf16Widened, F16, F32, Format, Iq4, Iq4Layout, Iq4Weights, PANEL, Q8, Q8Weights, Step,
    },
    parallel::{SharedRows, for_each_chunk},
    product::{Target, product},
    simd::Path,
    tiles::{self, Rounded},
};
use crate::Result;
use std::sync::OnceLock;

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
    Iq4(Vec<Step<Iq4Weights>>),
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
            Panels::Iq4($steps) => {
                type $F = Iq4;
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

    /// Packs rows of IQ4_NL or IQ4_XS blocks as a GGUF file keeps them. The numbers stay four bits wide.
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
                *step = std::mem::MaybeUninit::new(Step(weights));
            }
        });
        Self { outputs, inputs, panels: Panels::Iq4(panels) }
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
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] if the work was stopped.
    pub fn product(&self, x: &Activations<'_>, bias: Option<&[f32]>) -> Result<Vec<f32>> {
        let count = x.numbers.len() / self.inputs * self.outputs;
        let mut y: Vec<f32> = Vec::with_capacity(count);
        let target = Target {
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

    /// Adds the product of `x [rows.len(), inputs]` to those rows of `y`, from the number `start` of each
    /// on.
    ///
    /// # Safety
    /// `y` holds numbers, and no other thread touches those rows meanwhile.
    ///
    /// # Errors
    /// [`crate::Error::Interrupted`] if the work was stopped: then part of it has not been added.
    pub unsafe fn add_product(
        &self,
        x: &Activations<'_>,
        y: &SharedRows<'_, f32>,
        start: usize,
        rows: &[u32],
    ) -> Result<()> {
        let target =
            Target { memory: y.again(), stride: y.width(), start, rows: Some(rows), add: true };
        self.product_into(x, None, &target)
    }

    fn product_into(
        &self,
        x: &Activations<'_>,
        bias: Option<&[f32]>,
        target: &Target<'_>,
    ) -> Result<()> {
        let (inputs, outputs) = (self.inputs, self.outputs);
        if let Panels::Bf16(steps) = &self.panels {
            return match Path::chosen() {
                Path::Amx => {
                    let (rounded, rows) = (x.rounded(), x.rows());
                    tiles::product_bf16(steps, rounded, rows, inputs, outputs, bias, target)
                }
                Path::Avx512 => product::<Bf16>(steps, x.numbers, inputs, outputs, bias, target),
                Path::Avx2 | Path::Portable => {
                    product::<Bf16Widened>(steps, x.numbers, inputs, outputs, bias, target)
                }
            };
        }
        let x = x.numbers;
        for_format!(&self.panels, |steps: F| product::<F>(steps, x, inputs, outputs, bias, target))
    }
}

/// Rows of numbers that are multiplied with one weight or more. What is made of them for one product is
/// there for the next.
pub struct Activations<'a> {
    /// `[rows, inputs]`
    pub numbers: &'a [f32],
    inputs: usize,
    rounded: OnceLock<Rounded>,
}

impl<'a> Activations<'a> {
    /// Rows of `inputs` numbers.
    pub fn new(numbers: &'a [f32], inputs: usize) -> Self {
        Self { numbers, inputs, rounded: OnceLock::new() }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.numbers.len() / self.inputs
    }

    fn rounded(&self) -> &Rounded {
        self.rounded.get_or_init(|| Rounded::new(self.numbers, self.inputs))
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
                    let ours = Packed::new(outputs, inputs, format, &read)
                        .product(&Activations::new(&x, inputs), None)
                        .expect("nobody stops it");
                    for (ours, exact) in ours.iter().zip(exact(&x, &w, inputs)) {
                        let error = (f64::from(*ours) - exact).abs() / (inputs as f64).sqrt();
                        assert!(error < tolerance, "{format:?} {rows} {outputs} {inputs}: {error}");
                    }
                }
            }
        }
    }

    /// Rows of blocks of four bits, read back and multiplied: what is rounded is the activations alone.
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
                        // 0.01 as f16: a scale of random bits would be anything.
                        block[..2].copy_from_slice(&[0x1f, 0x21]);
                    }
                    row
                };
                let packed = Packed::from_iq4_rows(outputs, inputs, layout, &read);
                let mut w = vec![0f32; outputs * inputs];
                for (output, row) in w.chunks_exact_mut(inputs).enumerate() {
                    packed.row(output, row);
                }
                let x = numbers(rows * inputs, 5);
                let most = w.iter().fold(0f32, |most, w| most.max(w.abs()));
                let ours = packed.product(&Activations::new(&x, inputs), None);
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
            let packed = Packed::new(outputs, inputs, format, &read);
            let product = |x: &[f32]| {
                packed.product(&Activations::new(x, inputs), None).expect("nobody stops it")
            };
            let together = product(&x);
            for (row, together) in together.chunks(outputs).enumerate() {
                let alone = product(&x[row * inputs..][..inputs]);
                assert_eq!(alone, together, "{format:?}, row {row}");
            }
        }
    }
}
