//! Vectors of sixteen numbers on whatever instruction set the processor has.
//!
//! A kernel is a [`SimdTask`]. It is written once, generic over [`Simd`], and compiled for each instruction set.
//! [`run`] chooses one at run time.
//!
//! Everything in a task must be `#[inline(always)]`, because only code that is inlined into the function with the
//! target features is compiled with them. A closure that is passed to a library function, such as `array::map` or
//! `LocalKey::with`, is not inlined there. Use a loop instead.

mod instruction_set;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use half::{bf16, f16};
pub use instruction_set::{INSTRUCTION_SET_VARIABLE, InstructionSet, InstructionSetError};
use portable::Portable;

/// Numbers in a vector.
pub(super) const LANES: usize = 16;

/// Work that is compiled for every instruction set.
pub(super) trait SimdTask {
    /// Does the work. Implementations are `#[inline(always)]`.
    fn run<S: Simd>(self);
}

/// Vectors of sixteen f32 or i32, and the products that weights need.
///
/// # Safety
/// Methods may only be called where the processor has the instructions, which [`run`] makes sure of. Pointers must be
/// valid for the sixteen elements (or pairs, or quadruples) that are read or written. They need no alignment.
#[allow(clippy::missing_safety_doc, reason = "the trait's section covers every method")]
pub trait Simd: Copy {
    /// A vector of sixteen f32, or of sixteen patterns of 32 bits.
    type V: Copy;
    /// A vector of sixteen i32.
    type I: Copy;
    /// Whether a vector is several registers. Then fewer vectors fit the registers at a time.
    const IS_SPLIT: bool = false;

    /// Copies `x` to every lane.
    unsafe fn splat(x: f32) -> Self::V;
    /// Loads sixteen f32.
    unsafe fn load(from: *const f32) -> Self::V;
    /// Loads sixteen f16 and widens them.
    unsafe fn load_f16(from: *const f16) -> Self::V;
    /// Loads sixteen bf16 and widens them.
    unsafe fn load_bf16(from: *const bf16) -> Self::V;
    /// Stores sixteen f32.
    unsafe fn store(x: Self::V, to: *mut f32);
    /// Rounds to bf16, to nearest with ties to even, and stores sixteen bf16.
    unsafe fn store_bf16(x: Self::V, to: *mut bf16);
    /// Rounds to bf16, to nearest with ties to even, but stays f32. NaN stays NaN.
    unsafe fn round_bf16(x: Self::V) -> Self::V;
    /// Computes `a + b`.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// Computes `a · b`.
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// Computes the larger number of each pair.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// Computes the smaller number of each pair.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// Computes `a / b`.
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// Computes `a · b + c`.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Computes `e^x` for `x` up to 88. Below -87 the result is 0.
    unsafe fn exp(x: Self::V) -> Self::V;
    /// Widens the bf16 in the low half of each lane.
    unsafe fn first_bf16(pairs: Self::V) -> Self::V;
    /// Widens the bf16 in the high half of each lane.
    unsafe fn second_bf16(pairs: Self::V) -> Self::V;
    /// Computes `acc + w₀x₀ + w₁x₁` in each lane. A lane of `w` and `x` is a pair of bf16, the first of which is in the
    /// low half.
    #[inline(always)]
    unsafe fn dot_bf16(acc: Self::V, w: Self::V, x: Self::V) -> Self::V {
        // SAFETY: the caller keeps this function's contract.
        unsafe {
            let sum = Self::fma(Self::first_bf16(w), Self::first_bf16(x), acc);
            Self::fma(Self::second_bf16(w), Self::second_bf16(x), sum)
        }
    }
    /// Prefetches the cache line at the address. Any address is allowed.
    #[inline(always)]
    unsafe fn prefetch(_: *const u8) {}
    /// Copies the integer `x` to every lane.
    unsafe fn splat_i32(x: i32) -> Self::I;
    /// Computes `acc + Σ wᵢxᵢ` over the four unsigned bytes of each lane of `w` and the four signed bytes of `x`.
    unsafe fn dot_u8(acc: Self::I, w: *const [u8; 4], x: [i8; 4]) -> Self::I;
    /// Looks up table entries by the half bytes of 64 bytes: the entries of low halves are written to `low`, those of
    /// high halves to `high`.
    unsafe fn look_up(table: &[u8; 16], at: *const [u8; 4], low: *mut [u8; 4], high: *mut [u8; 4]);
    /// Converts to f32, exactly up to 2²⁴.
    unsafe fn to_f32(x: Self::I) -> Self::V;
    /// Computes the hyperbolic tangent as `1 - 2 / (e^2x + 1)`, with an absolute error of at most 1e-7.
    #[inline(always)]
    unsafe fn tanh(x: Self::V) -> Self::V {
        // SAFETY: the caller keeps the contract. At ±15 the result is ±1 to the last bit.
        unsafe {
            let x = Self::min(Self::max(x, Self::splat(-15.0)), Self::splat(15.0));
            let power = Self::exp(Self::add(x, x));
            let quotient = Self::div(Self::splat(-2.0), Self::add(power, Self::splat(1.0)));
            Self::add(quotient, Self::splat(1.0))
        }
    }
    /// Returns the sum of all sixteen numbers.
    #[inline(always)]
    unsafe fn sum(x: Self::V) -> f32 {
        let mut lanes = [0f32; LANES];
        // SAFETY: the array holds sixteen.
        unsafe { Self::store(x, lanes.as_mut_ptr()) };
        // Halves are added to halves, so the order of additions is that of a tree.
        for width in [8, 4, 2, 1] {
            for lane in 0..width {
                lanes[lane] += lanes[lane + width];
            }
        }
        lanes[0]
    }
}

/// Constants of the exponential: `e^x = 2^n · p(r)` with `r = x - n ln 2` in ±ln 2 / 2. The Taylor polynomial `p` has
/// degree 7; its error in this range is below 2^-26. ln 2 is split in two parts, so that `r` loses no bits (Cody and
/// Waite).
mod exp {
    pub(super) const LOWEST: f32 = -87.0;
    pub(super) const LOG2_E: f32 = std::f32::consts::LOG2_E;
    pub(super) const LN2_HIGH: f32 = 0.693_359_4;
    pub(super) const LN2_LOW: f32 = -2.121_944_4e-4;
    pub(super) const TERMS: [f32; 8] =
        [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
}

/// Runs a task with the chosen instruction set.
#[inline]
pub(super) fn run(task: impl SimdTask) {
    #[cfg(target_arch = "x86_64")]
    match InstructionSet::chosen() {
        // SAFETY: an instruction set is chosen only if the processor has it.
        InstructionSet::Avx512 | InstructionSet::Amx => return unsafe { x86::run_avx512(task) },
        // SAFETY: as above.
        InstructionSet::Avx2 => return unsafe { x86::run_avx2(task) },
        InstructionSet::Portable => {}
    }
    task.run::<Portable>();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Calls every method once and collects the results in one row.
    struct Everything<'a>(&'a Mutex<Vec<f32>>);

    impl SimdTask for Everything<'_> {
        #[inline(always)]
        fn run<S: Simd>(self) {
            let numbers: [f32; LANES] = std::array::from_fn(|lane| (lane as f32 - 7.3) * 1.7);
            let halves = numbers.map(f16::from_f32);
            let bf16s: [bf16; 2 * LANES] =
                std::array::from_fn(|lane| bf16::from_f32((lane as f32 - 15.5) * 0.3));
            let bytes: [[u8; 4]; LANES] = std::array::from_fn(|lane| {
                std::array::from_fn(|i| (37 * lane + 91 * i + 250) as u8)
            });
            let mut out = Vec::new();
            // SAFETY: `run` chose S, or the test has looked; all arrays are one vector.
            unsafe {
                let mut keep = |v: S::V| {
                    let mut lanes = [0f32; LANES];
                    S::store(v, lanes.as_mut_ptr());
                    out.extend(lanes);
                };
                let x = S::load(numbers.as_ptr());
                keep(S::load_f16(halves.as_ptr()));
                keep(S::load_bf16(bf16s.as_ptr()));
                keep(S::add(x, S::mul(x, S::splat(0.5))));
                keep(S::max(x, S::min(S::splat(3.0), S::div(x, S::splat(-2.0)))));
                keep(S::fma(x, x, S::splat(1.0)));
                keep(S::exp(S::mul(x, S::splat(6.0))));
                keep(S::tanh(x));
                let pairs = S::load(bf16s.as_ptr().cast());
                keep(S::round_bf16(x));
                keep(S::first_bf16(pairs));
                keep(S::second_bf16(pairs));
                keep(S::dot_bf16(x, pairs, pairs));
                let dot = S::dot_u8(S::splat_i32(-5), bytes.as_ptr(), [-128, 127, -1, 77]);
                keep(S::to_f32(dot));
                let table = std::array::from_fn(|index| (index * 13 + 7) as u8);
                let mut found = [[[0u8; 4]; LANES]; 2];
                let [low, high] = found.each_mut().map(|half| half.as_mut_ptr());
                S::look_up(&table, bytes.as_ptr(), low, high);
                for half in found {
                    keep(S::to_f32(S::dot_u8(S::splat_i32(0), half.as_ptr(), [1, 2, 3, 4])));
                }
                let mut rounded = [bf16::ZERO; LANES];
                S::store_bf16(x, rounded.as_mut_ptr());
                out.extend(rounded.map(bf16::to_f32));
                out.push(S::sum(x));
            }
            *self.0.lock().expect("the only user") = out;
        }
    }

    /// Plain Rust is the reference for each instruction set that this processor has.
    #[test]
    fn instruction_sets_agree() {
        let of = |run: &dyn Fn(Everything<'_>)| {
            let out = Mutex::new(Vec::new());
            run(Everything(&out));
            out.into_inner().expect("the only user")
        };
        let plain = of(&|task| task.run::<Portable>());
        let agrees = |other: Vec<f32>| {
            assert_eq!(plain.len(), other.len());
            for (index, (a, b)) in plain.iter().zip(&other).enumerate() {
                let scale = a.abs().max(1e-3);
                assert!((a - b).abs() <= 1e-6 * scale, "vector {}: {a} and {b}", index / LANES);
            }
        };
        agrees(of(&|task| run(task)));
        #[cfg(target_arch = "x86_64")]
        if InstructionSet::Avx2.is_available() {
            // SAFETY: just detected.
            agrees(of(&|task| unsafe { x86::run_avx2(task) }));
        }
        #[cfg(target_arch = "x86_64")]
        if InstructionSet::Avx512.is_available() {
            // SAFETY: just detected.
            agrees(of(&|task| unsafe { x86::run_avx512(task) }));
        }
    }
}
