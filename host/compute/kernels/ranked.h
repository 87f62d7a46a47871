// Ranks of tokens and experts: integers that order them by their logits. The larger the rank, the more likely the
// token; of equal logits, the lower id has the larger rank. Also the sums and maxima of such numbers over a block.
#pragma once
#include "real.h"

// Returns an integer that grows with the number in IEEE 754's total order. The bits of negative numbers grow as the
// numbers fall, so they are inverted.
__device__ __forceinline__ u32 ordered(float x)
{
    const u32 bits = __float_as_uint(x);
    return bits >> 31 ? ~bits : bits | 1u << 31;
}
// The inverse of `ordered`.
__device__ __forceinline__ float unordered(u32 bits) { return __uint_as_float(bits >> 31 ? bits & ~(1u << 31) : ~bits); }

__device__ __forceinline__ u64 ranked(float logit, u32 id) { return (u64)ordered(logit) << 32 | ~id; }
// The rank for an argmax: both zeros are equal, and NaN ranks like minus infinity.
__device__ __forceinline__ u64 ranked_for_argmax(float logit, u32 id)
{
    return ranked(logit != logit ? -__int_as_float(0x7f800000) : logit + 0.0f, id);
}
__device__ __forceinline__ u32 id_of(u64 ranked) { return ~(u32)ranked; }
__device__ __forceinline__ float logit_of(u64 ranked) { return unordered((u32)(ranked >> 32)); }

// Calls `of(logit, id)` for the ids of [from, to) in steps. Many logits are loaded at once.
template <typename Of> __device__ __forceinline__ void each_logit(const float* logits, u32 from, u32 to, u32 step, Of of)
{
    constexpr u32 AT_ONCE = 16;
    for (u32 first = from; first < to; first += AT_ONCE * step) {
        float batch[AT_ONCE];
#pragma unroll
        for (u32 i = 0; i < AT_ONCE; i++)
            if (first + i * step < to) batch[i] = logits[first + i * step];
#pragma unroll
        for (u32 i = 0; i < AT_ONCE; i++)
            if (first + i * step < to) of(batch[i], first + i * step);
    }
}

struct Larger {
    template <typename T> __device__ T operator()(T a, T b) const { return a > b ? a : b; }
};
struct Smaller {
    template <typename T> __device__ T operator()(T a, T b) const { return a < b ? a : b; }
};
struct Sum {
    template <typename T> __device__ T operator()(T a, T b) const { return a + b; }
};

// Joins the numbers of a warp. Every lane gets the result. `join` is one of the structs above.
template <typename T, typename Join> __device__ __forceinline__ T join_warp(T x, Join join)
{
#pragma unroll
    for (int step = 16; step > 0; step /= 2) x = join(x, __shfl_xor_sync(0xffffffffu, x, step));
    return x;
}

// Joins the numbers of a block. Every thread gets the result, and all threads call it. Their number is a multiple of
// 32.
template <typename T, typename Join> __device__ T join_block(T x, T none, Join join)
{
    __shared__ T parts[32];
    const u32 lane = threadIdx.x % 32;
    x = join_warp(x, join);
    __syncthreads();  // The parts of the call before have been read.
    if (lane == 0) parts[threadIdx.x / 32] = x;
    __syncthreads();
    return join_warp(lane < blockDim.x / 32 ? parts[lane] : none, join);
}
