//! Vectors with the instructions of AVX2 and AVX-512.

use super::{LANES, Portable, Simd, SimdTask, exp};
use half::{bf16, f16};
use std::arch::x86_64::*;

/// Vectors with AVX2, FMA and F16C: two registers of eight numbers.
#[derive(Clone, Copy)]
pub(super) struct Avx2;

/// Vectors with AVX-512 and its bf16 and VNNI dot products (Zen 4, Cooper Lake, Sapphire Rapids and later): one
/// register.
#[derive(Clone, Copy)]
pub(super) struct Avx512;

/// Evaluates an expression for each of the two registers.
///
/// It is a macro and not a closure. A function that is not inlined is compiled without the enabled target features, and
/// LLVM inlines a closure with two callers only if it is small.
macro_rules! both {
    ($half:ident => $of_half:expr) => {
        unsafe {
            let first = {
                let $half = 0;
                $of_half
            };
            let $half = 1;
            [first, $of_half]
        }
    };
}

// SAFETY (every block): the caller has checked the features and answers for the pointers.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one SAFETY line covers every block")]
impl Simd for Avx2 {
    type V = [__m256; 2];
    type I = [__m256i; 2];
    const IS_SPLIT: bool = true;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        both!(half => _mm256_loadu_ps(from.add(8 * half)))
    }
    #[inline(always)]
    unsafe fn load_f16(from: *const f16) -> Self::V {
        both!(half => _mm256_cvtph_ps(_mm_loadu_si128(from.add(8 * half).cast())))
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const bf16) -> Self::V {
        both!(half => {
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
        both!(half => _mm256_add_ps(a[half], b[half]))
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        both!(half => _mm256_mul_ps(a[half], b[half]))
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        both!(half => _mm256_max_ps(a[half], b[half]))
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        both!(half => _mm256_min_ps(a[half], b[half]))
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        both!(half => _mm256_div_ps(a[half], b[half]))
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        both!(half => _mm256_fmadd_ps(a[half], b[half], c[half]))
    }
    #[inline(always)]
    unsafe fn exp(x: Self::V) -> Self::V {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        both!(half => {
            let x = x[half];
            let n = _mm256_round_ps::<NEAREST>(_mm256_mul_ps(x, _mm256_set1_ps(exp::LOG2_E)));
            let r = _mm256_fnmadd_ps(n, _mm256_set1_ps(exp::LN2_HIGH), x);
            let r = _mm256_fnmadd_ps(n, _mm256_set1_ps(exp::LN2_LOW), r);
            let mut p = _mm256_set1_ps(exp::TERMS[0]);
            for term in &exp::TERMS[1..] {
                p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(*term));
            }
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            let power = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent));
            let kept = _mm256_cmp_ps::<_CMP_GE_OQ>(x, _mm256_set1_ps(exp::LOWEST));
            _mm256_and_ps(_mm256_mul_ps(p, power), kept)
        })
    }
    #[inline(always)]
    unsafe fn round_bf16(x: Self::V) -> Self::V {
        both!(half => {
            let bits = _mm256_castps_si256(x[half]);
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            let up = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
            let rounded = _mm256_castsi256_ps(_mm256_add_epi32(bits, up));
            let quiet = _mm256_or_ps(x[half], _mm256_castsi256_ps(_mm256_set1_epi32(1 << 22)));
            let is_nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(x[half], x[half]);
            let mask = _mm256_castsi256_ps(_mm256_set1_epi32(0xffff_0000u32 as i32));
            _mm256_and_ps(_mm256_blendv_ps(rounded, quiet, is_nan), mask)
        })
    }
    #[inline(always)]
    unsafe fn first_bf16(pairs: Self::V) -> Self::V {
        both!(half => {
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_castps_si256(pairs[half])))
        })
    }
    #[inline(always)]
    unsafe fn second_bf16(pairs: Self::V) -> Self::V {
        both!(half => {
            let mask = _mm256_castsi256_ps(_mm256_set1_epi32(0xffff_0000u32 as i32));
            _mm256_and_ps(pairs[half], mask)
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
        // Even and odd bytes as numbers of 16 bits. The sums of their products fit 32 bits.
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
    unsafe fn look_up(table: &[u8; 16], at: *const [u8; 4], low: *mut [u8; 4], high: *mut [u8; 4]) {
        unsafe {
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
            let mask = _mm256_set1_epi8(15);
            for half in 0..2 {
                let pairs = _mm256_loadu_si256(at.add(8 * half).cast());
                let first = _mm256_and_si256(pairs, mask);
                let second = _mm256_and_si256(_mm256_srli_epi16::<4>(pairs), mask);
                _mm256_storeu_si256(low.add(8 * half).cast(), _mm256_shuffle_epi8(table, first));
                _mm256_storeu_si256(high.add(8 * half).cast(), _mm256_shuffle_epi8(table, second));
            }
        }
    }
    #[inline(always)]
    unsafe fn to_f32(x: Self::I) -> Self::V {
        both!(half => _mm256_cvtepi32_ps(x[half]))
    }
}

// SAFETY (every block): the caller has checked the features and answers for the pointers.
#[allow(clippy::undocumented_unsafe_blocks, reason = "one SAFETY line covers every block")]
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
            let n = _mm512_roundscale_ps::<0>(_mm512_mul_ps(x, _mm512_set1_ps(exp::LOG2_E)));
            let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(exp::LN2_HIGH), x);
            let r = _mm512_fnmadd_ps(n, _mm512_set1_ps(exp::LN2_LOW), r);
            let mut p = _mm512_set1_ps(exp::TERMS[0]);
            for term in &exp::TERMS[1..] {
                p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(*term));
            }
            let kept = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(x, _mm512_set1_ps(exp::LOWEST));
            _mm512_maskz_scalef_ps(kept, p, n)
        }
    }
    #[inline(always)]
    unsafe fn round_bf16(x: Self::V) -> Self::V {
        unsafe {
            let bits = _mm512_castps_si512(x);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let up = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
            let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(1 << 22));
            let is_nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x, x);
            let rounded = _mm512_mask_blend_epi32(is_nan, _mm512_add_epi32(bits, up), quiet);
            let mask = _mm512_set1_epi32(0xffff_0000u32 as i32);
            _mm512_castsi512_ps(_mm512_and_si512(rounded, mask))
        }
    }
    #[inline(always)]
    unsafe fn first_bf16(pairs: Self::V) -> Self::V {
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_castps_si512(pairs))) }
    }
    #[inline(always)]
    unsafe fn second_bf16(pairs: Self::V) -> Self::V {
        unsafe {
            let mask = _mm512_set1_epi32(0xffff_0000u32 as i32);
            _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(pairs), mask))
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
    unsafe fn look_up(table: &[u8; 16], at: *const [u8; 4], low: *mut [u8; 4], high: *mut [u8; 4]) {
        unsafe {
            let table = _mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast()));
            let mask = _mm512_set1_epi8(15);
            let pairs = _mm512_loadu_si512(at.cast());
            let first = _mm512_and_si512(pairs, mask);
            let second = _mm512_and_si512(_mm512_srli_epi16::<4>(pairs), mask);
            _mm512_storeu_si512(low.cast(), _mm512_shuffle_epi8(table, first));
            _mm512_storeu_si512(high.cast(), _mm512_shuffle_epi8(table, second));
        }
    }
    #[inline(always)]
    unsafe fn to_f32(x: Self::I) -> Self::V {
        unsafe { _mm512_cvtepi32_ps(x) }
    }
}

// SAFETY: the caller has checked the features.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn run_avx2(task: impl SimdTask) {
    task.run::<Avx2>();
}

// SAFETY: the caller has checked the features.
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512bf16,avx512vnni")]
pub(super) unsafe fn run_avx512(task: impl SimdTask) {
    task.run::<Avx512>();
}
