// fill: random weights. Each number is a function of its row's key and its place in the tensor. Launched by
// src/ops/synthetic.rs.
//
//   rows  [count] of SyntheticRow
//   out   [count, columns]
//
// Grid: rows in x, parts of a row in y.
#include "real.h"

struct Fill {
    u64 rows;
    u64 out;
    u64 columns;
    float half_width;
    // Columns that a block fills.
    u32 part;
};

struct SyntheticRow {
    u64 key;
    u64 start;
};

// The output function of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), applied to a counter.
__device__ __forceinline__ u64 split_mix(u64 counter)
{
    u64 z = counter * 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

KERNEL(fill, Fill)
{
    const SyntheticRow row = reinterpret_cast<const SyntheticRow*>(p.rows)[blockIdx.x];
    REAL* out = reinterpret_cast<REAL*>(p.out) + blockIdx.x * p.columns;
    const u64 first = (u64)blockIdx.y * p.part;
    const u64 end = p.columns < first + p.part ? p.columns : first + p.part;
    for (u64 column = first + threadIdx.x; column < end; column += blockDim.x) {
        // With 24 bits all steps before the last product are exact, so every way of computing it gives the same number.
        const float unit = (float)(u32)(split_mix(row.key + row.start + column) >> 40) * 0x1p-24f;
        store(out + column, (2.0f * unit - 1.0f) * p.half_width);
    }
}
