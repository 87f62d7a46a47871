// shrink, shrink_vector, expand: low-rank adapters, where each row may have an adapter of its own, after Punica (arXiv
// 2310.18547). Launched by src/ops/lora.rs.
//
//   shrink: h = A x
//   expand: y = gain · (y + B h) + rest
//
//   x  [rows, inputs], or [rows / per_input, inputs]
//   h  f32 [rows, stride]
//   y  [rows, outputs]
//
// Grid: 8 consecutive rows in x, rows of A (shrink) or outputs (expand) in y. Neighbouring rows with the same entry are
// a run, and share each read of A and B.
#include "reduce.h"
#include "vector.h"

constexpr u32 NONE = 0xffffffffu;
constexpr u32 PARTS = 4;
constexpr u32 ROWS = 8;
constexpr u32 WARPS = 8;

struct Part {
    u64 up;
    u32 start;
    u32 end;
    u32 from;
    u32 inner;
};

struct Entry {
    u64 down;
    u64 gain;
    u64 rest;
    u32 ranks;
    u32 first;
    Part parts[PARTS];
};

struct Rows {
    u64 adapters;
    u64 experts;
    u64 table;
    u32 rows;
    u32 per_input;
    u64 adapter_count;
};

struct Shrink {
    Rows rows;
    u64 x;
    u64 h;
    u32 inputs;
    u32 stride;
    u32 warps_per_rank;
    u32 shared_input;
};

struct Expand {
    Rows rows;
    u64 h;
    u64 y;
    u32 outputs;
    u32 stride;
};

// Returns a row's entry, or null if no adapter changes the row.
__device__ __forceinline__ const Entry* entry_of(const Rows& rows, u32 row) {
    const u32 adapter = reinterpret_cast<const u32*>(rows.adapters)[row / rows.per_input];
    const u32 expert = rows.experts ? reinterpret_cast<const u32*>(rows.experts)[row] : 0;
    if (adapter == NONE || expert == NONE) return nullptr;
    return reinterpret_cast<const Entry*>(rows.table) + (expert * rows.adapter_count + adapter);
}

// Returns the end of the block's rows.
__device__ __forceinline__ u32 end_of_block(const Rows& rows) {
    const u32 end = (blockIdx.x + 1) * ROWS;
    return end < rows.rows ? end : rows.rows;
}

// Returns the end of the run of rows that have the same entry as `row`.
__device__ __forceinline__ u32 end_of_run(const Rows& rows, const Entry* entry, u32 row, u32 end) {
    do row++;
    while (row < end && entry_of(rows, row) == entry);
    return row;
}

// `warps_per_rank` warps share a row of A, each a part of its columns. So a few rows keep as many loads in flight as
// many rows do.
template <int N>
__device__ __forceinline__ void shrink_of(const Shrink& p) {
    __shared__ float sums[WARPS][ROWS];
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const u32 ranks = WARPS / p.warps_per_rank, share = warp % p.warps_per_rank;
    const u32 rank = blockIdx.y * ranks + warp / p.warps_per_rank;
    const u32 end = end_of_block(p.rows);
    for (u32 row = blockIdx.x * ROWS, next; row < end; row = next) {
        const Entry* entry = entry_of(p.rows, row);
        next = end_of_run(p.rows, entry, row, end);
        if (!entry || !entry->down || blockIdx.y * ranks >= entry->ranks) continue;
        float sum[ROWS] = {};
        if (rank < entry->ranks) {
            const REAL* down = reinterpret_cast<const REAL*>(entry->down) + (u64)rank * p.inputs;
            const REAL* x[ROWS];
#pragma unroll
            for (u32 r = 0; r < ROWS; r++) {
                const u32 of = row + r < next ? row + r : row;
                x[r] = reinterpret_cast<const REAL*>(p.x) + (u64)(p.shared_input ? of / p.rows.per_input : of) * p.inputs;
            }
            for (u32 i = (share * 32 + lane) * N; i < p.inputs; i += p.warps_per_rank * 32 * N) {
                float a[N];
                load_vector(a, down + i);
#pragma unroll
                for (u32 r = 0; r < ROWS; r++) {
                    if (row + r >= next) break;
                    float b[N];
                    load_vector(b, x[r] + i);
#pragma unroll
                    for (int n = 0; n < N; n++) sum[r] += a[n] * b[n];
                }
            }
        }
#pragma unroll
        for (u32 r = 0; r < ROWS; r++) {
            const float whole = warp_sum(sum[r]);
            if (lane == 0) sums[warp][r] = whole;
        }
        __syncthreads();
        const u32 own = blockIdx.y * ranks + threadIdx.x / ROWS, of = row + threadIdx.x % ROWS;
        if (threadIdx.x < ranks * ROWS && own < entry->ranks && of < next) {
            float whole = 0.0f;
            for (u32 other = 0; other < p.warps_per_rank; other++)
                whole += sums[threadIdx.x / ROWS * p.warps_per_rank + other][threadIdx.x % ROWS];
            reinterpret_cast<float*>(p.h)[(u64)of * p.stride + entry->first + own] = whole;
        }
        __syncthreads();
    }
}

KERNEL(shrink, Shrink) { shrink_of<1>(p); }

KERNEL(shrink_vector, Shrink) { shrink_of<VECTOR>(p); }

// Adds the products of a row of B with the rows of h.
template <int N>
__device__ __forceinline__ void multiply(float (&sum)[ROWS], const REAL* up, u32 inner, const float* h, u32 stride, u32 count) {
    for (u32 i = 0; i < inner; i += N) {
        float b[N];
        load_vector(b, up + i);
#pragma unroll
        for (u32 r = 0; r < ROWS; r++) {
            if (r >= count) break;
#pragma unroll
            for (int n = 0; n < N; n++) sum[r] += b[n] * h[(u64)r * stride + i + n];
        }
    }
}

// A thread computes one column of the block's rows.
KERNEL(expand, Expand) {
    const u32 column = blockIdx.y * blockDim.x + threadIdx.x;
    if (column >= p.outputs) return;
    const u32 end = end_of_block(p.rows);
    for (u32 row = blockIdx.x * ROWS, next; row < end; row = next) {
        const Entry* entry = entry_of(p.rows, row);
        next = end_of_run(p.rows, entry, row, end);
        if (!entry) continue;
        float sum[ROWS] = {};
        bool changes = entry->gain || entry->rest;
        for (u32 which = 0; which < PARTS; which++) {
            const Part part = entry->parts[which];
            if (!part.up || column < part.start || column >= part.end) continue;
            changes = true;
            const REAL* up = reinterpret_cast<const REAL*>(part.up) + (u64)(column - part.start) * part.inner;
            const float* h = reinterpret_cast<const float*>(p.h) + (u64)row * p.stride + part.from;
            if (part.inner % VECTOR == 0 && part.up % 16 == 0) {
                multiply<VECTOR>(sum, up, part.inner, h, p.stride, next - row);
            } else {
                multiply<1>(sum, up, part.inner, h, p.stride, next - row);
            }
        }
        if (!changes) continue;
        const float gain = entry->gain ? reinterpret_cast<const float*>(entry->gain)[column] : 1.0f;
        const float rest = entry->rest ? reinterpret_cast<const float*>(entry->rest)[column] : 0.0f;
#pragma unroll
        for (u32 r = 0; r < ROWS; r++) {
            if (row + r >= next) break;
            REAL* y = reinterpret_cast<REAL*>(p.y) + (u64)(row + r) * p.outputs + column;
            store(y, gain * (to_float(*y) + sum[r]) + rest);
        }
    }
}
