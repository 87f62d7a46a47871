//! Sixteen numbers at a time, on whatever the processor has.
//!
//! A kernel is a [`Task`]: generic over [`Simd`], written once, compiled for each instruction set
//! and chosen at run time by [`run`]. Everything in it must be `#[inline(always)]`, for only code
//! that is inlined into the function with the target features may use them.

use half::{bf16, f16};

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
    /// acc + w₀x₀ + w₁x₁ in each lane, where a lane of `w` and of `x` is a pair of bf16, the first
    /// in the low half.
    unsafe fn dot_bf16(acc: Self::V, w: Self::V, x: Self::V) -> Self::V;
    /// Asks for a line of memory that will be read soon; any address will do.
    #[inline(always)]
    unsafe fn prefetch(_: *const u8) {}
    /// The same integer sixteen times.
    unsafe fn splat_i32(x: i32) -> Self::I;
    /// acc + Σ wᵢxᵢ over four unsigned bytes of each lane of `w` and the four signed bytes of `x`.
    unsafe fn dot_u8(acc: Self::I, w: *const [u8; 4], x: [i8; 4]) -> Self::I;
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

/// Plain arrays, for processors that none of the others fit. The compiler vectorises what it can.
#[derive(Clone, Copy)]
pub struct Portable;

#[inline(always)]
fn each(mut f: impl FnMut(usize) -> f32) -> [f32; LANES] {
    let mut out = [0.0; LANES];
    for (lane, out) in out.iter_mut().enumerate() {
        *out = f(lane);
    }
    out
}

#[inline(always)]
fn low(pair: f32) -> f32 {
    f32::from_bits(pair.to_bits() << 16)
}

#[inline(always)]
fn high(pair: f32) -> f32 {
    f32::from_bits(pair.to_bits() & 0xffff_0000)
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

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the caller's.
        unsafe { from.cast::<Self::V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const f16) -> Self::V {
        // SAFETY: the caller's.
        let numbers = unsafe { from.cast::<[f16; LANES]>().read_unaligned() };
        each(|lane| numbers[lane].to_f32())
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self::V {
        // SAFETY: the caller's.
        let numbers = unsafe { from.cast::<[bf16; LANES]>().read_unaligned() };
        each(|lane| numbers[lane].to_f32())
    }
    #[inline(always)]
    unsafe fn store(x: Self::V, to: *mut f32) {
        // SAFETY: the caller's.
        unsafe { to.cast::<Self::V>().write_unaligned(x) }
    }
    #[inline(always)]
    unsafe fn store_bf16(x: Self::V, to: *mut bf16) {
        // SAFETY: the caller's.
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
        // Without the instruction a fused multiply-add is a function call.
        each(|lane| a[lane] * b[lane] + c[lane])
    }
    #[inline(always)]
    unsafe fn exp(x: Self::V) -> Self::V {
        each(|lane| exp_one(x[lane], |a, b, c| a * b + c))
    }
    #[inline(always)]
    unsafe fn dot_bf16(acc: Self::V, w: Self::V, x: Self::V) -> Self::V {
        each(|lane| acc[lane] + low(w[lane]) * low(x[lane]) + high(w[lane]) * high(x[lane]))
    }
    #[inline(always)]
    unsafe fn splat_i32(x: i32) -> Self::I {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn dot_u8(acc: Self::I, w: *const [u8; 4], x: [i8; 4]) -> Self::I {
        // SAFETY: the caller's.
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
    unsafe fn to_f32(x: Self::I) -> Self::V {
        each(|lane| x[lane] as f32)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{LANES, Portable, Simd, exp};
    use half::{bf16, f16};
    use std::arch::x86_64::*;

    /// AVX2 with FMA and F16C: two registers of eight.
    #[derive(Clone, Copy)]
    pub struct Avx2;

    /// AVX-512 with its bf16 and VNNI dot products (Zen 4, Cooper Lake, Sapphire Rapids and later).
    #[derive(Clone, Copy)]
    pub struct Avx512;

    #[inline(always)]
    fn both(f: impl Fn(usize) -> __m256) -> [__m256; 2] {
        [f(0), f(1)]
    }

    // SAFETY (every block): the caller has checked the features and answers for the pointers.
    #[allow(clippy::undocumented_unsafe_blocks)]
    impl Simd for Avx2 {
        type V = [__m256; 2];
        type I = [__m256i; 2];

        #[inline(always)]
        unsafe fn splat(x: f32) -> Self::V {
            unsafe { [_mm256_set1_ps(x); 2] }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self::V {
            both(|half| unsafe { _mm256_loadu_ps(from.add(8 * half)) })
        }
        #[inline(always)]
        unsafe fn load_f16(from: *const f16) -> Self::V {
            both(|half| unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.add(8 * half).cast())) })
        }
        #[inline(always)]
        unsafe fn load_bf16(from: *const bf16) -> Self::V {
            both(|half| unsafe {
                let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.add(8 * half).cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
            })
        }
        #[inline(always)]
        unsafe fn store(x: Self::V, to: *mut f32) {
            unsafe {
                _mm256_storeu_ps(to, x[0]);
                _mm256_storeu_ps(to.add(8), x[1]);
            }
        }
        #[inline(always)]
        unsafe fn store_bf16(x: Self::V, to: *mut bf16) {
            unsafe {
                let mut lanes = [0f32; LANES];
                Self::store(x, lanes.as_mut_ptr());
                Portable::store_bf16(lanes, to);
            }
        }
        #[inline(always)]
        unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
            both(|half| unsafe { _mm256_add_ps(a[half], b[half]) })
        }
        #[inline(always)]
        unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
            both(|half| unsafe { _mm256_mul_ps(a[half], b[half]) })
        }
        #[inline(always)]
        unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
            both(|half| unsafe { _mm256_max_ps(a[half], b[half]) })
        }
        #[inline(always)]
        unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
            both(|half| unsafe { _mm256_min_ps(a[half], b[half]) })
        }
        #[inline(always)]
        unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
            both(|half| unsafe { _mm256_div_ps(a[half], b[half]) })
        }
        #[inline(always)]
        unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            both(|half| unsafe { _mm256_fmadd_ps(a[half], b[half], c[half]) })
        }
        #[inline(always)]
        unsafe fn exp(x: Self::V) -> Self::V {
            const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
            both(|half| unsafe {
                let (x, constant) = (x[half], |value| _mm256_set1_ps(value));
                let n = _mm256_round_ps::<NEAREST>(_mm256_mul_ps(x, constant(exp::LOG2_E)));
                let r = _mm256_fnmadd_ps(n, constant(exp::LN2_HIGH), x);
                let r = _mm256_fnmadd_ps(n, constant(exp::LN2_LOW), r);
                let mut p = constant(exp::TERMS[0]);
                for term in &exp::TERMS[1..] {
                    p = _mm256_fmadd_ps(p, r, constant(*term));
                }
                let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
                let power = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent));
                let kept = _mm256_cmp_ps::<_CMP_GE_OQ>(x, constant(exp::LOWEST));
                _mm256_and_ps(_mm256_mul_ps(p, power), kept)
            })
        }
        #[inline(always)]
        unsafe fn dot_bf16(acc: Self::V, w: Self::V, x: Self::V) -> Self::V {
            both(|half| unsafe {
                let mask = _mm256_castsi256_ps(_mm256_set1_epi32(0xffff_0000u32 as i32));
                let low = |pair: __m256| {
                    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_castps_si256(pair)))
                };
                let high = |pair: __m256| _mm256_and_ps(pair, mask);
                let sum = _mm256_fmadd_ps(low(w[half]), low(x[half]), acc[half]);
                _mm256_fmadd_ps(high(w[half]), high(x[half]), sum)
            })
        }
        #[inline(always)]
        unsafe fn prefetch(from: *const u8) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
        }
        #[inline(always)]
        unsafe fn splat_i32(x: i32) -> Self::I {
            unsafe { [_mm256_set1_epi32(x); 2] }
        }
        #[inline(always)]
        unsafe fn dot_u8(acc: Self::I, w: *const [u8; 4], x: [i8; 4]) -> Self::I {
            // Even and odd bytes as 16-bit numbers, whose products' sums fit 32 bits.
            unsafe {
                let x = _mm256_set1_epi32(i32::from_le_bytes(x.map(|byte| byte as u8)));
                let even_x = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(x));
                let odd_x = _mm256_srai_epi16::<8>(x);
                let mut out = acc;
                for (half, out) in out.iter_mut().enumerate() {
                    let w = _mm256_loadu_si256(w.add(8 * half).cast());
                    let even = _mm256_and_si256(w, _mm256_set1_epi16(0xff));
                    let odd = _mm256_srli_epi16::<8>(w);
                    let even = _mm256_madd_epi16(even, even_x);
                    let odd = _mm256_madd_epi16(odd, odd_x);
                    *out = _mm256_add_epi32(*out, _mm256_add_epi32(even, odd));
                }
                out
            }
        }
        #[inline(always)]
        unsafe fn to_f32(x: Self::I) -> Self::V {
            both(|half| unsafe { _mm256_cvtepi32_ps(x[half]) })
        }
    }

    // SAFETY (every block): the caller has checked the features and answers for the pointers.
    #[allow(clippy::undocumented_unsafe_blocks)]
    impl Simd for Avx512 {
        type V = __m512;
        type I = __m512i;

        #[inline(always)]
        unsafe fn splat(x: f32) -> Self::V {
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self::V {
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn load_f16(from: *const f16) -> Self::V {
            unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
        }
        #[inline(always)]
        unsafe fn load_bf16(from: *const bf16) -> Self::V {
            unsafe {
                let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
            }
        }
        #[inline(always)]
        unsafe fn store(x: Self::V, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, x) }
        }
        #[inline(always)]
        unsafe fn store_bf16(x: Self::V, to: *mut bf16) {
            // SAFETY: both types are 256 bits; only the view of them differs.
            unsafe {
                let pairs = std::mem::transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(x));
                _mm256_storeu_si256(to.cast(), pairs);
            }
        }
        #[inline(always)]
        unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
            unsafe { _mm512_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
            unsafe { _mm512_min_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
            unsafe { _mm512_div_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn exp(x: Self::V) -> Self::V {
            unsafe {
                let constant = |value| _mm512_set1_ps(value);
                let n = _mm512_roundscale_ps::<0>(_mm512_mul_ps(x, constant(exp::LOG2_E)));
                let r = _mm512_fnmadd_ps(n, constant(exp::LN2_HIGH), x);
                let r = _mm512_fnmadd_ps(n, constant(exp::LN2_LOW), r);
                let mut p = constant(exp::TERMS[0]);
                for term in &exp::TERMS[1..] {
                    p = _mm512_fmadd_ps(p, r, constant(*term));
                }
                let kept = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(x, constant(exp::LOWEST));
                _mm512_maskz_scalef_ps(kept, p, n)
            }
        }
        #[inline(always)]
        unsafe fn dot_bf16(acc: Self::V, w: Self::V, x: Self::V) -> Self::V {
            // SAFETY: all three types are 512 bits; only the view of them differs.
            unsafe {
                let pairs = |v: __m512| std::mem::transmute::<__m512, __m512bh>(v);
                _mm512_dpbf16_ps(acc, pairs(w), pairs(x))
            }
        }
        #[inline(always)]
        unsafe fn prefetch(from: *const u8) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
        }
        #[inline(always)]
        unsafe fn splat_i32(x: i32) -> Self::I {
            unsafe { _mm512_set1_epi32(x) }
        }
        #[inline(always)]
        unsafe fn dot_u8(acc: Self::I, w: *const [u8; 4], x: [i8; 4]) -> Self::I {
            unsafe {
                let x = _mm512_set1_epi32(i32::from_le_bytes(x.map(|byte| byte as u8)));
                _mm512_dpbusd_epi32(acc, _mm512_loadu_si512(w.cast()), x)
            }
        }
        #[inline(always)]
        unsafe fn to_f32(x: Self::I) -> Self::V {
            unsafe { _mm512_cvtepi32_ps(x) }
        }
    }

    // SAFETY: the caller has checked the features.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub unsafe fn run_avx2(task: impl super::Task) {
        task.run::<Avx2>();
    }

    // SAFETY: the caller has checked the features.
    #[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16,avx512vnni")]
    pub unsafe fn run_avx512(task: impl super::Task) {
        task.run::<Avx512>();
    }
}

/// Runs a task with the best instructions that this processor has.
#[inline]
pub fn run(task: impl Task) {
    #[cfg(target_arch = "x86_64")]
    {
        let avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bf16")
            && is_x86_feature_detected!("avx512vnni");
        if avx2 && avx512 {
            // SAFETY: just detected.
            return unsafe { x86::run_avx512(task) };
        }
        if avx2 {
            // SAFETY: just detected.
            return unsafe { x86::run_avx2(task) };
        }
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
                keep(S::dot_bf16(x, pairs, pairs));
                let dot = S::dot_u8(S::splat_i32(-5), bytes.as_ptr(), [-128, 127, -1, 77]);
                keep(S::to_f32(dot));
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
        if is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
        {
            // SAFETY: just detected.
            agrees(of(&|task| unsafe { x86::run_avx2(task) }));
        }
    }
}
