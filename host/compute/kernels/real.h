// Number formats of weights and activations. It needs no header of CUDA, so NVRTC compiles it anywhere, and so does a
// C++ compiler for the emulated device. Everything is computed in f32 and rounded to nearest even when it is stored.
#pragma once

struct bf16 { unsigned short bits; };
struct f16 { unsigned short bits; };

#ifdef __CUDACC__

typedef unsigned long long u64;
typedef unsigned int u32;
#define KERNEL(name, Parameters) extern "C" __global__ void name(const __grid_constant__ Parameters p)
// Bounded by the most threads of a block and the fewest blocks on a multiprocessor.
#define BOUNDED_KERNEL(threads, blocks, name, Parameters) extern "C" __global__ void __launch_bounds__(threads, blocks) name(const __grid_constant__ Parameters p)
#define DYNAMIC_SHARED(Type, name) extern __shared__ __align__(16) unsigned char name##_bytes[]; Type* name = reinterpret_cast<Type*>(name##_bytes)

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(bf16 x) { return __uint_as_float((u32)x.bits << 16); }
__device__ inline float to_float(f16 x) { float y; asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits)); return y; }
__device__ inline void store(float* to, float x) { *to = x; }
__device__ inline void store(bf16* to, float x) { asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(to->bits) : "f"(x)); }
__device__ inline void store(f16* to, float x) { asm("cvt.rn.f16.f32 %0, %1;" : "=h"(to->bits) : "f"(x)); }

#else
#include "emulation.h"

inline float to_float(float x) { return x; }
inline float to_float(bf16 x) { return __uint_as_float((u32)x.bits << 16); }
inline float to_float(f16 x)
{
    u32 sign = (u32)(x.bits & 0x8000) << 16, rest = x.bits & 0x7fff;
    // The biases of the exponents differ by 112. The product is right for subnormal numbers too.
    u32 bits = rest >= 0x7c00 ? 0x7f800000 | rest << 13 : __float_as_uint(__uint_as_float(rest << 13) * 0x1p112f);
    return __uint_as_float(sign | bits);
}
inline void store(float* to, float x) { *to = x; }
inline void store(bf16* to, float x)
{
    u32 bits = __float_as_uint(x);
    to->bits = x != x ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
inline void store(f16* to, float x)
{
    u32 bits = __float_as_uint(x) & 0x7fffffff, sign = __float_as_uint(x) >> 16 & 0x8000;
    if (bits > 0x7f800000) bits = 0x7fff, sign = 0;
    else if (bits >= 0x477ff000) bits = 0x7c00;
    // The last place of the sum is that of a subnormal f16, so the sum is rounded to one.
    else if (bits < 0x38800000) bits = __float_as_uint(__uint_as_float(bits) + 0.5f) - 0x3f000000;
    else bits = (bits - 0x38000000 + 0xfff + (bits >> 13 & 1)) >> 13;
    to->bits = sign | bits;
}
#endif
