// Kernels that move rows or change their numbers. Launched by src/ops/rows.rs.
//
//   replace          part [rows, n] to columns start..start + n of y [rows, width], for rows with a certain entry
//   columns_to_rows  f32 [ranks, rows * widest] to f32 [rows, total]
//   softcap          x = cap · tanh(x / cap), f32 [count]
//   gather           rows of from [.., width] by index to [rows, width]
//   widen            [count] to f32 [count]
//
// Grid: rows in x, columns in y. Of softcap and widen: numbers in x.
#include "vector.h"

struct Replace {
    u64 entries;
    u64 part;
    u64 y;
    u32 width;
    u32 entry;
    u32 n;
    u32 start;
};

struct ColumnsToRows {
    u64 parts;
    u64 from;
    u64 to;
    u32 rows;
    u32 ranks;
    u64 widest;
};

struct Softcap {
    u64 x;
    u64 count;
    float cap;
    u32 unused;
};

struct Widen {
    u64 from;
    u64 to;
    u64 count;
};

struct Gather {
    u64 index;
    u64 from;
    u64 to;
    u64 width;
};

template <int N>
__device__ __forceinline__ void replace_of(const Replace& p) {
    const u64 row = blockIdx.x;
    const u32 column = (blockIdx.y * blockDim.x + threadIdx.x) * N;
    if (column >= p.n || reinterpret_cast<const u32*>(p.entries)[row] != p.entry) return;
    float x[N];
    load_vector(x, reinterpret_cast<const REAL*>(p.part) + row * p.n + column);
    store_vector(reinterpret_cast<REAL*>(p.y) + row * p.width + p.start + column, x);
}

KERNEL(replace, Replace) { replace_of<1>(p); }

KERNEL(replace_vector, Replace) { replace_of<VECTOR>(p); }

// Blocks in z are ranks. The start and the width of a rank's columns may be any number.
KERNEL(columns_to_rows, ColumnsToRows) {
    const u64 row = blockIdx.x;
    const u32 column = blockIdx.y * blockDim.x + threadIdx.x, rank = blockIdx.z;
    const u32* parts = reinterpret_cast<const u32*>(p.parts);
    const u32 start = parts[rank], total = parts[p.ranks];
    const u32 own = parts[rank + 1] - start;
    if (column >= own) return;
    const float* from = reinterpret_cast<const float*>(p.from) + rank * (u64)p.rows * p.widest + row * own;
    reinterpret_cast<float*>(p.to)[row * total + start + column] = from[column];
}

KERNEL(softcap, Softcap) {
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= p.count) return;
    float* x = reinterpret_cast<float*>(p.x) + i;
    *x = p.cap * tanhf(*x / p.cap);
}

template <int N>
__device__ __forceinline__ void gather_of(const Gather& p) {
    const u32 column = (blockIdx.y * blockDim.x + threadIdx.x) * N;
    if (column >= p.width) return;
    const u64 from = reinterpret_cast<const u32*>(p.index)[blockIdx.x] * p.width + column;
    const u64 to = blockIdx.x * p.width + column;
    *reinterpret_cast<Vector<REAL, N>*>(reinterpret_cast<REAL*>(p.to) + to) =
        *reinterpret_cast<const Vector<REAL, N>*>(reinterpret_cast<const REAL*>(p.from) + from);
}

KERNEL(gather, Gather) { gather_of<1>(p); }

KERNEL(gather_vector, Gather) { gather_of<VECTOR>(p); }

KERNEL(widen, Widen) {
    const u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= p.count) return;
    reinterpret_cast<float*>(p.to)[i] = to_float(reinterpret_cast<const REAL*>(p.from)[i]);
}
