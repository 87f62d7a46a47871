// lookup, lookup_vector: rows of a table by their ids. low_rank: the changes that adapters make to such rows. Launched
// by src/ops/embedding.rs.
//
//   ids       u32 [rows]
//   table     [kept, width], rows first..first + kept of the whole table
//   changes   u64 [adapters], addresses of other tables
//   adapters  u32 [rows]
//   tables    [adapters] of LowRankTable
//   out, x    [rows, width]
//
// Grid: rows in x, columns in y.
#include "vector.h"

constexpr u32 NONE = 0xffffffffu;

struct Lookup {
    u64 ids;
    u64 table;
    u64 changes;
    u64 adapters;
    u64 out;
    u32 width;
    u32 first;
    u32 kept;
    u32 accumulate;
    float scale;
    u32 unused;
};

struct LowRankTable {
    u64 down;
    u64 up;
    u64 gain;
    u32 rank;
    u32 unused;
};

struct LowRank {
    u64 ids;
    u64 adapters;
    u64 tables;
    u64 x;
    u32 width;
    float scale;
};

template <int N>
__device__ __forceinline__ void lookup_of(const Lookup& p) {
    const u32 column = (blockIdx.y * blockDim.x + threadIdx.x) * N;
    if (column >= p.width) return;
    const u64 row = blockIdx.x;
    u64 table = p.table;
    if (p.changes) {
        const u32 adapter = reinterpret_cast<const u32*>(p.adapters)[row];
        const u64 change = adapter == NONE ? 0 : reinterpret_cast<const u64*>(p.changes)[adapter];
        if (change) table = change;
    }
    // Ids below this rank's first row wrap around to large numbers.
    const u32 id = reinterpret_cast<const u32*>(p.ids)[row] - p.first;
    REAL* out = reinterpret_cast<REAL*>(p.out) + row * p.width + column;
    float x[N] = {}, sum[N] = {};
    if (id < p.kept) load_vector(x, reinterpret_cast<const REAL*>(table) + (u64)id * p.width + column);
    if (p.accumulate) load_vector(sum, out);
#pragma unroll
    for (int n = 0; n < N; n++) sum[n] += p.scale * x[n];
    store_vector(out, sum);
}

KERNEL(lookup, Lookup) { lookup_of<1>(p); }

KERNEL(lookup_vector, Lookup) { lookup_of<VECTOR>(p); }

KERNEL(low_rank, LowRank) {
    const u32 column = blockIdx.y * blockDim.x + threadIdx.x;
    if (column >= p.width) return;
    const u64 row = blockIdx.x;
    REAL* to = reinterpret_cast<REAL*>(p.x) + row * p.width + column;
    float x = to_float(*to);
    const u32 adapter = reinterpret_cast<const u32*>(p.adapters)[row];
    if (adapter != NONE) {
        const LowRankTable table = reinterpret_cast<const LowRankTable*>(p.tables)[adapter];
        if (table.down) {
            const u64 id = reinterpret_cast<const u32*>(p.ids)[row];
            const float* down = reinterpret_cast<const float*>(table.down) + id * table.rank;
            const float* up = reinterpret_cast<const float*>(table.up) + (u64)column * table.rank;
            float change = 0.0f;
            for (u32 rank = 0; rank < table.rank; rank++) change += up[rank] * down[rank];
            x += change;
        }
        if (table.gain) x *= reinterpret_cast<const float*>(table.gain)[column];
    }
    store(to, p.scale * x);
}
