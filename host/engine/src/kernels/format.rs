//! How weights lie in memory: panels of [`PANEL`] output features, one step of inputs after another.
//!
//! ```text
//! panel 0: step 0 [o0 o1 ... o31]  step 1 [o0 ... o31]  ...     a product reads it from end to end
//! panel 1: ...
//! ```
//!
//! A vector then holds one input of sixteen outputs, an activation is spread over all lanes, and no
//! sum is ever taken across lanes. Each output has one running sum over the inputs in order, so its
//! value does not depend on how many rows are multiplied with it.

use super::{
    amx::TILE_ROWS,
    simd::{LANES, Simd},
};
use half::{bf16, f16};

/// Output features of a panel.
pub const PANEL: usize = 2 * LANES;

/// A step of a panel, on its own cache lines.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct Step<T>(pub T);

/// The sums of a tile: `R` rows by a panel.
pub type Sums<S, const R: usize> = [[<S as Simd>::V; 2]; R];

/// Memory that is read soon, of which each step asks for its share: a processor's own prefetcher follows
/// a panel while it is streamed, but not the next one while this one meets more rows.
#[derive(Clone, Copy)]
pub struct Ahead {
    from: *const u8,
    bytes_a_step: usize,
}

impl Ahead {
    /// Nothing.
    pub const NOTHING: Self = Self { from: std::ptr::null(), bytes_a_step: 0 };

    /// Part `part` of `parts` of a panel, shared out over `steps`.
    pub fn part<T>(panel: &[T], part: usize, parts: usize, steps: usize) -> Self {
        let share = std::mem::size_of_val(panel) / parts;
        let from = panel.as_ptr().cast::<u8>().wrapping_add(part * share);
        Self { from, bytes_a_step: share.div_ceil(steps.max(1)) }
    }

    #[inline(always)]
    unsafe fn step<S: Simd>(&mut self) {
        for line in (0..self.bytes_a_step).step_by(64) {
            // SAFETY: the processor has S; a prefetch may be of any address.
            unsafe { S::prefetch(self.from.wrapping_add(line)) };
        }
        self.from = self.from.wrapping_add(self.bytes_a_step);
    }
}

/// A number format of weights and how activations meet it.
pub trait Format: 'static {
    /// [`DEPTH`](Self::DEPTH) inputs of a panel's outputs.
    type Weights: Copy + Send + Sync;
    /// As many activations of one row.
    type Activations: Copy + Send + Sync;
    /// Inputs of a step.
    const DEPTH: usize;
    /// Most rows of a tile: as many as there are registers for their sums.
    const ROWS: usize;

    /// Steps of a panel.
    fn steps(inputs: usize) -> usize {
        inputs.div_ceil(Self::DEPTH)
    }
    /// One step from `inputs[output][depth]`.
    fn pack(inputs: &[[f32; 32]; PANEL]) -> Self::Weights;
    /// One output's inputs of a step, `DEPTH` numbers.
    fn unpack(weights: &Self::Weights, output: usize, inputs: &mut [f32]);
    /// At most `DEPTH` activations; those that are missing count as 0. Implementations are
    /// `#[inline(always)]`.
    fn activate(x: &[f32]) -> Self::Activations;
    /// All steps of a panel with `R` rows: `x[step * R + row]`. Meanwhile what comes next is fetched.
    ///
    /// # Safety
    /// The processor has `S`, and `x` is `R` times as long as `panel`.
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[Step<Self::Weights>],
        x: &[Self::Activations],
        ahead: Ahead,
    ) -> Sums<S, R>;
}

/// f32 weights and sums.
pub struct F32;
/// f16 weights, widened; f32 activations and sums.
pub struct F16;
/// bf16 weights and activations; products are exact and sums are f32.
pub struct Bf16;
/// Q8_0 of ggml: 32 integers of 8 bits under one f16 scale. Activations are rounded in the same way.
pub struct Q8;

/// The loop that the formats without blocks share.
#[inline(always)]
unsafe fn accumulate<S: Simd, W, X: Copy, const R: usize>(
    panel: &[Step<W>],
    x: &[X],
    mut ahead: Ahead,
    load: impl Fn(&W) -> [S::V; 2],
    splat: impl Fn(X) -> S::V,
    add: impl Fn(S::V, S::V, S::V) -> S::V,
) -> Sums<S, R> {
    // SAFETY: the processor has S; x is as long as the caller says.
    unsafe {
        let mut sums = [[S::splat(0.0); 2]; R];
        let mut x = x.as_ptr();
        for step in panel {
            ahead.step::<S>();
            let weights = load(&step.0);
            for (row, sums) in sums.iter_mut().enumerate() {
                let activation = splat(*x.add(row));
                sums[0] = add(sums[0], weights[0], activation);
                sums[1] = add(sums[1], weights[1], activation);
            }
            x = x.add(R);
        }
        sums
    }
}

impl Format for F32 {
    type Weights = [f32; PANEL];
    type Activations = f32;
    const DEPTH: usize = 1;
    const ROWS: usize = 12;

    fn pack(inputs: &[[f32; 32]; PANEL]) -> Self::Weights {
        std::array::from_fn(|output| inputs[output][0])
    }
    fn unpack(weights: &Self::Weights, output: usize, inputs: &mut [f32]) {
        inputs[0] = weights[output];
    }
    #[inline(always)]
    fn activate(x: &[f32]) -> f32 {
        x.first().copied().unwrap_or(0.0)
    }
    #[inline(always)]
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[Step<Self::Weights>],
        x: &[f32],
        ahead: Ahead,
    ) -> Sums<S, R> {
        // SAFETY: the caller's; a step holds two vectors.
        unsafe {
            accumulate::<S, _, _, R>(
                panel,
                x,
                ahead,
                |w| [S::load(w.as_ptr()), S::load(w.as_ptr().add(LANES))],
                |x| S::splat(x),
                |sum, w, x| S::fma(w, x, sum),
            )
        }
    }
}

impl Format for F16 {
    type Weights = [f16; PANEL];
    type Activations = f32;
    const DEPTH: usize = 1;
    const ROWS: usize = 12;

    fn pack(inputs: &[[f32; 32]; PANEL]) -> Self::Weights {
        std::array::from_fn(|output| f16::from_f32(inputs[output][0]))
    }
    fn unpack(weights: &Self::Weights, output: usize, inputs: &mut [f32]) {
        inputs[0] = weights[output].to_f32();
    }
    #[inline(always)]
    fn activate(x: &[f32]) -> f32 {
        x.first().copied().unwrap_or(0.0)
    }
    #[inline(always)]
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[Step<Self::Weights>],
        x: &[f32],
        ahead: Ahead,
    ) -> Sums<S, R> {
        // SAFETY: the caller's; a step holds two vectors.
        unsafe {
            accumulate::<S, _, _, R>(
                panel,
                x,
                ahead,
                |w| [S::load_f16(w.as_ptr()), S::load_f16(w.as_ptr().add(LANES))],
                |x| S::splat(x),
                |sum, w, x| S::fma(w, x, sum),
            )
        }
    }
}

impl Format for Bf16 {
    type Weights = [[bf16; 2]; PANEL];
    type Activations = [bf16; 2];
    const DEPTH: usize = 2;
    const ROWS: usize = 12;

    /// Whole tiles (`amx`), the last one filled up with zeros.
    fn steps(inputs: usize) -> usize {
        inputs.div_ceil(Self::DEPTH).next_multiple_of(TILE_ROWS)
    }

    fn pack(inputs: &[[f32; 32]; PANEL]) -> Self::Weights {
        std::array::from_fn(|output| [0, 1].map(|depth| bf16::from_f32(inputs[output][depth])))
    }
    fn unpack(weights: &Self::Weights, output: usize, inputs: &mut [f32]) {
        for (input, weight) in inputs.iter_mut().zip(weights[output]) {
            *input = weight.to_f32();
        }
    }
    #[inline(always)]
    fn activate(x: &[f32]) -> [bf16; 2] {
        [0, 1].map(|depth| bf16::from_f32(x.get(depth).copied().unwrap_or(0.0)))
    }
    #[inline(always)]
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[Step<Self::Weights>],
        x: &[[bf16; 2]],
        ahead: Ahead,
    ) -> Sums<S, R> {
        // SAFETY: the caller's; a step holds two vectors of pairs.
        unsafe {
            accumulate::<S, _, _, R>(
                panel,
                x,
                ahead,
                |w| [S::load(w.as_ptr().cast()), S::load(w.as_ptr().add(LANES).cast())],
                |[first, second]| {
                    let pair = u32::from(first.to_bits()) | u32::from(second.to_bits()) << 16;
                    S::splat(f32::from_bits(pair))
                },
                |sum, w, x| S::dot_bf16(sum, w, x),
            )
        }
    }
}

/// Inputs of a Q8_0 block (`QK8_0` in ggml's `ggml-common.h`).
const BLOCK: usize = 32;
/// Added to a weight so that it is unsigned, as the processor's byte products want one side to be.
const OFFSET: i32 = 128;

/// 32 inputs of a panel.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Q8Weights {
    /// Of each output.
    scales: [f16; PANEL],
    /// Four inputs of each output, eight times; each plus [`OFFSET`].
    quads: [[[u8; 4]; PANEL]; BLOCK / 4],
}

/// 32 activations of a row.
#[derive(Clone, Copy)]
pub struct Q8Activations {
    scale: f32,
    /// What the weights' offset adds to the sum, negated.
    correction: i32,
    quads: [[i8; 4]; BLOCK / 4],
}

/// ggml's rounding of a block of activations, bit for bit (`quantize_row_q8_0` for x86): the largest
/// magnitude becomes 127, halves go to the even neighbour, and the scale is kept in f16.
struct Rounding {
    scale: f16,
    inverse: f32,
}

impl Rounding {
    #[inline(always)]
    fn of(numbers: &[f32; BLOCK]) -> Self {
        // Lane by lane, which the compiler turns into vectors.
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
    pub const BYTES: usize = 2 + BLOCK;

    /// Blocks as a GGUF file keeps them, one of each output: an f16 scale and 32 signed bytes.
    pub fn from_blocks(blocks: &[Option<&[u8]>; PANEL]) -> Self {
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

impl Format for Q8 {
    type Weights = Q8Weights;
    type Activations = Q8Activations;
    const DEPTH: usize = BLOCK;
    const ROWS: usize = 6;

    fn pack(inputs: &[[f32; 32]; PANEL]) -> Q8Weights {
        let roundings = inputs.each_ref().map(Rounding::of);
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
        let mut block = [0f32; BLOCK];
        block[..x.len()].copy_from_slice(x);
        let rounding = Rounding::of(&block);
        // Loops, for a closure would be compiled without the processor's rounding instruction.
        let mut quads = [[0i8; 4]; BLOCK / 4];
        let mut sum = 0;
        for (byte, &x) in quads.as_flattened_mut().iter_mut().zip(&block) {
            *byte = rounding.round(x);
            sum += i32::from(*byte);
        }
        Q8Activations { scale: rounding.scale.to_f32(), correction: -OFFSET * sum, quads }
    }

    #[inline(always)]
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[Step<Q8Weights>],
        x: &[Q8Activations],
        // A step is long and its registers are all in use: asking ahead costs more than it gains.
        _: Ahead,
    ) -> Sums<S, R> {
        // SAFETY: the caller's; a step holds two vectors of scales and of each quadruple.
        unsafe {
            let mut sums = [[S::splat(0.0); 2]; R];
            for (index, Step(weights)) in panel.iter().enumerate() {
                let x = x.get_unchecked(index * R..(index + 1) * R);
                let mut dots = [[S::splat_i32(0); 2]; R];
                for (dots, x) in dots.iter_mut().zip(x) {
                    *dots = [S::splat_i32(x.correction); 2];
                }
                for quad in 0..BLOCK / 4 {
                    let bytes = weights.quads[quad].as_ptr();
                    for (dots, x) in dots.iter_mut().zip(x) {
                        dots[0] = S::dot_u8(dots[0], bytes, x.quads[quad]);
                        dots[1] = S::dot_u8(dots[1], bytes.add(LANES), x.quads[quad]);
                    }
                }
                let scales = weights.scales.as_ptr();
                let scales = [S::load_f16(scales), S::load_f16(scales.add(LANES))];
                for ((sums, dots), x) in sums.iter_mut().zip(&dots).zip(x) {
                    let scale = S::splat(x.scale);
                    for half in 0..2 {
                        let factor = S::mul(scales[half], scale);
                        sums[half] = S::fma(S::to_f32(dots[half]), factor, sums[half]);
                    }
                }
            }
            sums
        }
    }
}
