// grouped: products of pairs with their experts' weights in f32. Shapes are those of grouped.cu. Launched by
// src/ops/experts.rs.
//
// Grid: tiles of 16 pairs in x, 32 outputs in y.
#include "grouped.h"

// compile: REAL=float

constexpr u32 PAIRS = 16, OUTPUTS = 32, DEPTH = 32, THREADS = 128;

KERNEL(grouped, Grouped)
{
    __shared__ float x[PAIRS][DEPTH + 1], w[OUTPUTS][DEPTH + 1];
    const Tile tile = tile_of(p, blockIdx.x);
    if (tile.count == 0) return;
    const u32 first = blockIdx.y * OUTPUTS, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    constexpr u32 WARPS = THREADS / 32, OWN = PAIRS / WARPS;
    float sums[OWN] = {};
    for (u32 start = 0; start < p.inputs; start += DEPTH) {
        const u32 k = start + lane;
        for (u32 i = warp; i < PAIRS; i += WARPS) x[i][lane] = i < tile.count && k < p.inputs ? row_of(p, tile.pairs[i])[k] : 0.0f;
        for (u32 i = warp; i < OUTPUTS; i += WARPS)
            w[i][lane] = first + i < p.outputs && k < p.inputs ? tile.weight[(u64)(first + i) * p.inputs + k] : 0.0f;
        __syncthreads();
        for (u32 k = 0; k < DEPTH; k++)
#pragma unroll
            for (u32 i = 0; i < OWN; i++) sums[i] += x[warp * OWN + i][k] * w[lane][k];
        __syncthreads();
    }
    if (first + lane >= p.outputs) return;
#pragma unroll
    for (u32 i = 0; i < OWN; i++) {
        const u32 place = warp * OWN + i;
        if (place < tile.count) reinterpret_cast<float*>(p.y)[(u64)tile.pairs[place] * p.outputs + first + lane] = sums[i];
    }
}
