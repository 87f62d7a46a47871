//! Sixteen numbers at a time, on whatever the processor has.
//!
//! A kernel is a [`Task`]: generic over [`Simd`], written once, compiled for each instruction set
//! and chosen at run time by [`run`]. Everything in it must be `#[inline(always)]`, for only code
//! that is inlined into the function with the target features may use them. A closure that is given to
//! a library's function, as to `array::map` or `LocalKey::with`, is not: a loop is.

mod path;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use half::{bf16, f16};
pub use path::{Path, VARIABLE};
use portable::Portable;

/// Numbers in a vector.
pub const LANES: usize = 16;

/// Work that is compiled for every instruction set.
pub trait Task {
    /// Does it. Implementations are `#[inline(always)]`.
    fn run<S: Simd>(self);
}

/// Vectors of sixteen f32 or i32, and the products that weights need.
///
/// # Safety
/// Methods may only be called where the processor has the instructions, which [`run`] sees to, and
/// pointers must be good for the sixteen elements (or pairs, or quadruples) that are read or written.
#[allow(clippy::missing_safety_doc, reason = "the trait's section covers every method")]
pub trait Simd: Copy {
    /// Sixteen f32, or as many 32-bit patterns.
    type V: Copy;
    /// Sixteen i32.
    type I: Copy;
    /// Whether a vector is several registers, so that fewer of them fit at a time.
    const IS_SPLIT: bool = false;

    /// The same number sixteen times.
    unsafe fn splat(x: f32) -> Self::V;
    /// From memory.
    unsafe fn load(from: *const f32) -> Self::V;
    /// Sixteen f16, widened.
    unsafe fn load_f16(from: *const f16) -> Self::V;
    /// Sixteen bf16, widened.
    unsafe fn load_bf16(from: *const bf16) -> Self::V;
    /// To memory.
    unsafe fn store(x: Self::V, to: *mut f32);
    /// To memory as bf16, rounded to nearest, ties to even.
    unsafe fn store_bf16(x: Self::V, to: *mut bf16);
    /// Rounds to the nearest bf16, ties to even, and keeps it as f32. Not-a-number stays one.
    unsafe fn round_bf16(x: Self::V) -> Self::V;
    /// a + b
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// a · b
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// The larger of each pair.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// The smaller of each pair.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// a / b
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// a · b + c
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// e to the x, for x of at most 88; below -87 it is 0.
    unsafe fn exp(x: Self::V) -> Self::V;
    /// Widens the bf16 in the low half of each lane.
    unsafe fn first_bf16(pairs: Self::V) -> Self::V;
    /// Widens the bf16 in the high half of each lane.
    unsafe fn second_bf16(pairs: Self::V) -> Self::V;
    /// acc + w₀x₀ + w₁x₁ in each lane, where a lane of `w` and of `x` is a pair of bf16, the first
    /// in the low half.
    #[inline(always)]
    unsafe fn dot_bf16(acc: Self::V, w: Self::V, x: Self::V) -> Self::V {
        // SAFETY: the caller's.
        unsafe {
            let sum = Self::fma(Self::first_bf16(w), Self::first_bf16(x), acc);
            Self::fma(Self::second_bf16(w), Self::second_bf16(x), sum)
        }
    }
    /// Asks for a line of memory that will be read soon; any address will do.
    #[inline(always)]
    unsafe fn prefetch(_: *const u8) {}
    /// The same integer sixteen times.
    unsafe fn splat_i32(x: i32) -> Self::I;
    /// acc + Σ wᵢxᵢ over four unsigned bytes of each lane of `w` and the four signed bytes of `x`.
    unsafe fn dot_u8(acc: Self::I, w: *const [u8; 4], x: [i8; 4]) -> Self::I;
    /// Numbers of a table by the half bytes of sixteen times four bytes: by the low halves to `low`, by the high ones
    /// to `high`.
    unsafe fn look_up(table: &[u8; 16], at: *const [u8; 4], low: *mut [u8; 4], high: *mut [u8; 4]);
    /// To f32, exactly up to 2²⁴.
    unsafe fn to_f32(x: Self::I) -> Self::V;
    /// The hyperbolic tangent: 1 - 2 / (e^2x + 1), right to 1e-7 absolutely.
    #[inline(always)]
    unsafe fn tanh(x: Self::V) -> Self::V {
        // SAFETY: the caller's. At ±15 the result is ±1 to the last bit.
        unsafe {
            let x = Self::min(Self::max(x, Self::splat(-15.0)), Self::splat(15.0));
            let power = Self::exp(Self::add(x, x));
            let quotient = Self::div(Self::splat(-2.0), Self::add(power, Self::splat(1.0)));
            Self::add(quotient, Self::splat(1.0))
        }
    }
    /// The sum of all sixteen.
    #[inline(always)]
    unsafe fn sum(x: Self::V) -> f32 {
        let mut lanes = [0f32; LANES];
        // SAFETY: the array holds sixteen.
        unsafe { Self::store(x, lanes.as_mut_ptr()) };
        // Halves are added to halves, so that the order is that of a tree.
        for width in [8, 4, 2, 1] {
            for lane in 0..width {
                lanes[lane] += lanes[lane + width];
            }
        }
        lanes[0]
    }
}

/// e^x = 2^n · p(r) with r = x - n ln 2 in ±ln 2 / 2; p is the Taylor polynomial of degree 7, whose
/// error there is below 2^-26. ln 2 is split in two so that r keeps all its bits (Cody and Waite).
mod exp {
    pub const LOWEST: f32 = -87.0;
    pub const LOG2_E: f32 = std::f32::consts::LOG2_E;
    pub const LN2_HIGH: f32 = 0.693_359_4;
    pub const LN2_LOW: f32 = -2.121_944_4e-4;
    pub const TERMS: [f32; 8] =
        [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
}

/// Runs a task with the instructions of the chosen path.
#[inline]
pub fn run(task: impl Task) {
    #[cfg(target_arch = "x86_64")]
    match Path::chosen() {
        // SAFETY: a path is chosen only where the processor has it.
        Path::Avx512 | Path::Amx => return unsafe { x86::run_avx512(task) },
        // SAFETY: as above.
        Path::Avx2 => return unsafe { x86::run_avx2(task) },
        Path::Portable => {}
    }
    task.run::<Portable>();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Every method once, the results in one row.
    struct Everything<'a>(&'a Mutex<Vec<f32>>);

    impl Task for Everything<'_> {
        #[inline(always)]
        fn run<S: Simd>(self) {
            let numbers: [f32; LANES] = std::array::from_fn(|lane| (lane as f32 - 7.3) * 1.7);
            let halves = numbers.map(f16::from_f32);
            let brains: [bf16; 2 * LANES] =
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
                keep(S::load_bf16(brains.as_ptr()));
                keep(S::add(x, S::mul(x, S::splat(0.5))));
                keep(S::max(x, S::min(S::splat(3.0), S::div(x, S::splat(-2.0)))));
                keep(S::fma(x, x, S::splat(1.0)));
                keep(S::exp(S::mul(x, S::splat(6.0))));
                keep(S::tanh(x));
                let pairs = S::load(brains.as_ptr().cast());
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

    /// Each instruction set that this processor has gives what plain Rust gives.
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
        if Path::Avx2.is_available() {
            // SAFETY: just detected.
            agrees(of(&|task| unsafe { x86::run_avx2(task) }));
        }
        #[cfg(target_arch = "x86_64")]
        if Path::Avx512.is_available() {
            // SAFETY: just detected.
            agrees(of(&|task| unsafe { x86::run_avx512(task) }));
        }
    }
}
