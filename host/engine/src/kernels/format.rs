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
    /// Most rows of a tile where a vector is one register.
    const ROWS: usize;
    /// Most rows of a tile where a vector is several registers ([`Simd::IS_SPLIT`]).
    const SPLIT_ROWS: usize;

    /// Steps of a panel.
    fn steps(inputs: usize) -> usize {
        inputs.div_ceil(Self::DEPTH)
    }
    /// One step from `inputs[output][depth]`.
    fn pack(inputs: &[[f32; 32]; PANEL]) -> Self::Weights;
    /// One output's inputs of a step, `DEPTH` numbers.
    fn unpack(weights: &Self::Weights, output: usize, inputs: &mut [f32]);
    /// Rounds a vector of activations as the format wants them, before [`Format::activate`] takes them.
    ///
    /// # Safety
    /// The processor has `S`.
    #[inline(always)]
    unsafe fn round<S: Simd>(x: S::V) -> S::V {
        x
    }
    /// At most `DEPTH` rounded activations; those that are missing count as 0. Implementations are
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
/// bf16 weights and activations in pairs, for processors that multiply pairs; sums are f32.
pub struct Bf16;
/// The same numbers for processors that do not: weights are widened to f32 as they are read, and activations are
/// rounded to bf16 and kept as f32.
pub struct Bf16Widened;
/// Q8_0 of ggml: 32 integers of 8 bits under one f16 scale. Activations are rounded in the same way.
pub struct Q8;

/// A format whose products are added to running sums as they come, without scales. Every function is
/// `#[inline(always)]`: a closure would be compiled without the instruction set once it is used twice.
///
/// # Safety
/// Functions may only be called where the processor has `S`.
#[allow(clippy::missing_safety_doc, reason = "the trait's section covers every function")]
trait Streamed: Format {
    /// Parts that the inputs of a step are multiplied in.
    const PARTS: usize;

    /// A part of a step's weights: the first (`half` 0) or second sixteen outputs.
    unsafe fn weights<S: Simd>(weights: &Self::Weights, part: usize, half: usize) -> S::V;
    /// The same part of a row's activations, in every lane.
    unsafe fn activation<S: Simd>(x: &Self::Activations, part: usize) -> S::V;
    /// sum + weights · x
    #[inline(always)]
    unsafe fn add<S: Simd>(sum: S::V, weights: S::V, x: S::V) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::fma(weights, x, sum) }
    }
}

/// The loop of streamed formats. Where a vector is several registers, the two halves of a panel are taken one after
/// the other, so that the sums of a tile stay in registers; a few rows have room for both, and memory is then read in one
/// stream.
#[inline(always)]
unsafe fn accumulate<S: Simd, F: Streamed, const R: usize>(
    panel: &[Step<F::Weights>],
    x: &[F::Activations],
    mut ahead: Ahead,
) -> Sums<S, R> {
    // SAFETY: the processor has S; x is as long as the caller says.
    unsafe {
        let mut sums = [[S::splat(0.0); 2]; R];
        if S::IS_SPLIT && R > 3 {
            for half in 0..2 {
                let mut column = [S::splat(0.0); R];
                let mut x = x.as_ptr();
                for step in panel {
                    if half == 0 {
                        ahead.step::<S>();
                    }
                    for part in 0..F::PARTS {
                        let weights = F::weights::<S>(&step.0, part, half);
                        for (row, sum) in column.iter_mut().enumerate() {
                            let activation = F::activation::<S>(&*x.add(row), part);
                            *sum = F::add::<S>(*sum, weights, activation);
                        }
                    }
                    x = x.add(R);
                }
                for (sums, sum) in sums.iter_mut().zip(column) {
                    sums[half] = sum;
                }
            }
            return sums;
        }
        let mut x = x.as_ptr();
        for step in panel {
            ahead.step::<S>();
            for part in 0..F::PARTS {
                let first = F::weights::<S>(&step.0, part, 0);
                let second = F::weights::<S>(&step.0, part, 1);
                for (row, sums) in sums.iter_mut().enumerate() {
                    let activation = F::activation::<S>(&*x.add(row), part);
                    sums[0] = F::add::<S>(sums[0], first, activation);
                    sums[1] = F::add::<S>(sums[1], second, activation);
                }
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
    const SPLIT_ROWS: usize = 6;

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
        // SAFETY: the caller's.
        unsafe { accumulate::<S, Self, R>(panel, x, ahead) }
    }
}

impl Streamed for F32 {
    const PARTS: usize = 1;

    #[inline(always)]
    unsafe fn weights<S: Simd>(weights: &Self::Weights, _: usize, half: usize) -> S::V {
        // SAFETY: a step holds two vectors.
        unsafe { S::load(weights.as_ptr().add(half * LANES)) }
    }
    #[inline(always)]
    unsafe fn activation<S: Simd>(x: &f32, _: usize) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::splat(*x) }
    }
}

impl Format for F16 {
    type Weights = [f16; PANEL];
    type Activations = f32;
    const DEPTH: usize = 1;
    const ROWS: usize = 12;
    const SPLIT_ROWS: usize = 6;

    fn pack(inputs: &[[f32; 32]; PANEL]) -> Self::Weights {
        std::array::from_fn(|output| f16::from_f32(inputs[output][0]))
    }
    fn unpack(weights: &Self::Weights, output: usize, inputs: &mut [f32]) {
        inputs[0] = weights[output].to_f32();
    }
    #[inline(always)]
    fn activate(x: &[f32]) -> f32 {
        F32::activate(x)
    }
    #[inline(always)]
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[Step<Self::Weights>],
        x: &[f32],
        ahead: Ahead,
    ) -> Sums<S, R> {
        // SAFETY: the caller's.
        unsafe { accumulate::<S, Self, R>(panel, x, ahead) }
    }
}

impl Streamed for F16 {
    const PARTS: usize = 1;

    #[inline(always)]
    unsafe fn weights<S: Simd>(weights: &Self::Weights, _: usize, half: usize) -> S::V {
        // SAFETY: a step holds two vectors.
        unsafe { S::load_f16(weights.as_ptr().add(half * LANES)) }
    }
    #[inline(always)]
    unsafe fn activation<S: Simd>(x: &f32, _: usize) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::splat(*x) }
    }
}

impl Format for Bf16 {
    type Weights = [[bf16; 2]; PANEL];
    type Activations = [bf16; 2];
    const DEPTH: usize = 2;
    const ROWS: usize = 12;
    const SPLIT_ROWS: usize = 6;

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
    unsafe fn round<S: Simd>(x: S::V) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::round_bf16(x) }
    }
    #[inline(always)]
    fn activate(x: &[f32]) -> [bf16; 2] {
        // They are rounded already: the low half of each is 0.
        Bf16Widened::activate(x).map(|x| bf16::from_bits((x.to_bits() >> 16) as u16))
    }
    #[inline(always)]
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[Step<Self::Weights>],
        x: &[[bf16; 2]],
        ahead: Ahead,
    ) -> Sums<S, R> {
        // SAFETY: the caller's.
        unsafe { accumulate::<S, Self, R>(panel, x, ahead) }
    }
}

impl Streamed for Bf16 {
    const PARTS: usize = 1;

    #[inline(always)]
    unsafe fn weights<S: Simd>(weights: &Self::Weights, _: usize, half: usize) -> S::V {
        // SAFETY: a step holds two vectors of pairs.
        unsafe { S::load(weights.as_ptr().add(half * LANES).cast()) }
    }
    #[inline(always)]
    unsafe fn activation<S: Simd>(&[first, second]: &[bf16; 2], _: usize) -> S::V {
        let pair = u32::from(first.to_bits()) | u32::from(second.to_bits()) << 16;
        // SAFETY: the caller's.
        unsafe { S::splat(f32::from_bits(pair)) }
    }
    #[inline(always)]
    unsafe fn add<S: Simd>(sum: S::V, weights: S::V, x: S::V) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::dot_bf16(sum, weights, x) }
    }
}

impl Format for Bf16Widened {
    type Weights = <Bf16 as Format>::Weights;
    type Activations = [f32; 2];
    const DEPTH: usize = Bf16::DEPTH;
    const ROWS: usize = Bf16::ROWS;
    const SPLIT_ROWS: usize = Bf16::SPLIT_ROWS;

    fn steps(inputs: usize) -> usize {
        Bf16::steps(inputs)
    }
    fn pack(inputs: &[[f32; 32]; PANEL]) -> Self::Weights {
        Bf16::pack(inputs)
    }
    fn unpack(weights: &Self::Weights, output: usize, inputs: &mut [f32]) {
        Bf16::unpack(weights, output, inputs);
    }
    #[inline(always)]
    unsafe fn round<S: Simd>(x: S::V) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::round_bf16(x) }
    }
    #[inline(always)]
    fn activate(x: &[f32]) -> [f32; 2] {
        let first = x.first().copied().unwrap_or(0.0);
        [first, x.get(1).copied().unwrap_or(0.0)]
    }
    #[inline(always)]
    unsafe fn multiply<S: Simd, const R: usize>(
        panel: &[Step<Self::Weights>],
        x: &[[f32; 2]],
        ahead: Ahead,
    ) -> Sums<S, R> {
        // SAFETY: the caller's.
        unsafe { accumulate::<S, Self, R>(panel, x, ahead) }
    }
}

impl Streamed for Bf16Widened {
    const PARTS: usize = 2;

    #[inline(always)]
    unsafe fn weights<S: Simd>(weights: &Self::Weights, part: usize, half: usize) -> S::V {
        // SAFETY: a step holds two vectors of pairs.
        unsafe {
            let pairs = S::load(weights.as_ptr().add(half * LANES).cast());
            if part == 0 { S::first_bf16(pairs) } else { S::second_bf16(pairs) }
        }
    }
    #[inline(always)]
    unsafe fn activation<S: Simd>(x: &[f32; 2], part: usize) -> S::V {
        // SAFETY: the caller's.
        unsafe { S::splat(x[part]) }
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
    const SPLIT_ROWS: usize = 6;

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
