// Sums over the threads of a warp and of a block.
#pragma once
#include "real.h"

// Returns the sum over a warp to each of its lanes.
__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}

// Returns the sum over a block to each of its threads. All threads call it, and their number is a multiple of 32.
__device__ inline float block_sum(float x) {
    __shared__ float sums[32];
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    x = warp_sum(x);
    __syncthreads();  // The sums of the call before have been read.
    if (lane == 0) sums[warp] = x;
    __syncthreads();
    return warp_sum(lane < blockDim.x / 32 ? sums[lane] : 0.0f);
}
