//! Vectors in plain Rust, for processors without the other instruction sets.

use super::{LANES, Simd, exp};
use half::{bf16, f16};

/// Vectors that are plain arrays. The compiler vectorises what it can.
#[derive(Clone, Copy)]
pub(super) struct Portable;

#[inline(always)]
fn each(mut f: impl FnMut(usize) -> f32) -> [f32; LANES] {
    let mut out = [0.0; LANES];
    for (lane, out) in out.iter_mut().enumerate() {
        *out = f(lane);
    }
    out
}

/// Widens an f16. A multiplication changes the exponent's bias from 15 to 127, which is right for subnormal numbers
/// too. `half::f16::to_f32` is not used because it checks for each number whether the processor has an instruction for
/// it, which the compiler cannot vectorise.
#[inline(always)]
fn widen_f16(x: f16) -> f32 {
    const REBIAS: f32 = f32::from_bits((127 + 112) << 23);
    let bits = u32::from(x.to_bits());
    let magnitude = (bits & 0x7fff) << 13;
    let number = (f32::from_bits(magnitude) * REBIAS).to_bits();
    let special = magnitude | 0x7f80_0000;
    let number = if bits & 0x7c00 == 0x7c00 { special } else { number };
    f32::from_bits(number | (bits & 0x8000) << 16)
}

#[inline(always)]
fn exp_one(x: f32, fma: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let n = (x * exp::LOG2_E).round_ties_even();
    let r = fma(n, -exp::LN2_LOW, fma(n, -exp::LN2_HIGH, x));
    let p = exp::TERMS.iter().skip(1).fold(exp::TERMS[0], |p, &term| fma(p, r, term));
    let power = f32::from_bits(((n as i32 + 127) as u32) << 23);
    if x < exp::LOWEST { 0.0 } else { p * power }
}

// SAFETY (every method): plain Rust but for the pointers, which the caller answers for.
impl Simd for Portable {
    type V = [f32; LANES];
    type I = [i32; LANES];
    const IS_SPLIT: bool = true;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the caller keeps this function's contract.
        unsafe { from.cast::<Self::V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const f16) -> Self::V {
        // SAFETY: the caller keeps this function's contract.
        let numbers = unsafe { from.cast::<[f16; LANES]>().read_unaligned() };
        each(|lane| widen_f16(numbers[lane]))
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self::V {
        // SAFETY: the caller keeps this function's contract.
        let numbers = unsafe { from.cast::<[bf16; LANES]>().read_unaligned() };
        each(|lane| numbers[lane].to_f32())
    }
    #[inline(always)]
    unsafe fn store(x: Self::V, to: *mut f32) {
        // SAFETY: the caller keeps this function's contract.
        unsafe { to.cast::<Self::V>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn store_bf16(x: Self::V, to: *mut bf16) {
        // SAFETY: the caller keeps this function's contract.
        unsafe { to.cast::<[bf16; LANES]>().write_unaligned(x.map(bf16::from_f32)) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        each(|lane| a[lane] + b[lane])
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        each(|lane| a[lane] * b[lane])
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        each(|lane| if a[lane] > b[lane] { a[lane] } else { b[lane] })
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        each(|lane| if a[lane] < b[lane] { a[lane] } else { b[lane] })
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        each(|lane| a[lane] / b[lane])
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // Not `mul_add`, which is a function call on processors without the instruction.
        each(|lane| a[lane] * b[lane] + c[lane])
    }
    #[inline(always)]
    unsafe fn exp(x: Self::V) -> Self::V {
        each(|lane| exp_one(x[lane], |a, b, c| a * b + c))
    }
    #[inline(always)]
    unsafe fn first_bf16(pairs: Self::V) -> Self::V {
        each(|lane| f32::from_bits(pairs[lane].to_bits() << 16))
    }
    #[inline(always)]
    unsafe fn second_bf16(pairs: Self::V) -> Self::V {
        each(|lane| f32::from_bits(pairs[lane].to_bits() & 0xffff_0000))
    }
    #[inline(always)]
    unsafe fn round_bf16(x: Self::V) -> Self::V {
        each(|lane| {
            let bits = x[lane].to_bits();
            let even = 0x7fff + (bits >> 16 & 1);
            let rounded = if x[lane].is_nan() { bits | 1 << 22 } else { bits.wrapping_add(even) };
            f32::from_bits(rounded & 0xffff_0000)
        })
    }
    #[inline(always)]
    unsafe fn splat_i32(x: i32) -> Self::I {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn dot_u8(acc: Self::I, w: *const [u8; 4], x: [i8; 4]) -> Self::I {
        // SAFETY: the caller keeps this function's contract.
        let w = unsafe { w.cast::<[[u8; 4]; LANES]>().read_unaligned() };
        let mut out = acc;
        for (out, w) in out.iter_mut().zip(w) {
            for byte in 0..4 {
                *out += i32::from(w[byte]) * i32::from(x[byte]);
            }
        }
        out
    }
    #[inline(always)]
    unsafe fn look_up(table: &[u8; 16], at: *const [u8; 4], low: *mut [u8; 4], high: *mut [u8; 4]) {
        // SAFETY: the caller keeps this function's contract.
        unsafe {
            let pairs = at.cast::<[u8; 4 * LANES]>().read_unaligned();
            low.cast::<[u8; 4 * LANES]>()
                .write_unaligned(pairs.map(|pair| table[usize::from(pair & 15)]));
            high.cast::<[u8; 4 * LANES]>()
                .write_unaligned(pairs.map(|pair| table[usize::from(pair >> 4)]));
        }
    }
    #[inline(always)]
    unsafe fn to_f32(x: Self::I) -> Self::V {
        each(|lane| x[lane] as f32)
    }
}
