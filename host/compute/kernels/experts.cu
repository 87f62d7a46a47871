// choose: the experts of each row. sort: pairs of rows and experts, sorted by expert. combine: the weighted sum of the
// experts' results. Launched by src/ops/experts.rs.
//
//   logits   [rows, count]
//   experts  u32 [rows, active], expert of each pair or NONE
//   shares   f32 [rows, active]
//   order    u32 [pairs], pairs of this rank's experts
//   tiles    u32 [1 + 3 tiles], their number, then expert, first place in `order` and pairs of each
//   x        [rows, active, width], results of the experts
//   y        [rows, width]
#include "ranked.h"

constexpr u32 NONE = 0xffffffffu;

struct Choose {
    u64 logits;
    u64 experts;
    u64 shares;
    u32 rows;
    u32 count;
    u32 active;
    u32 renormalise;
    // First expert of this rank, and how many it has.
    u32 first;
    u32 own;
};

// Grid: a warp for each row.
KERNEL(choose, Choose)
{
    const u32 row = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (row >= p.rows) return;
    const REAL* logits = reinterpret_cast<const REAL*>(p.logits) + (u64)row * p.count;
    u32* experts = reinterpret_cast<u32*>(p.experts) + (u64)row * p.active;
    float* shares = reinterpret_cast<float*>(p.shares) + (u64)row * p.active;

    u64 chosen = ~(u64)0;
    float top = 0.0f, total = 0.0f, kept = 0.0f;
    for (u32 k = 0; k < p.active; k++) {
        // The best of the experts that rank below the last one chosen.
        u64 best = 0;
        for (u32 expert = lane; expert < p.count; expert += 32) {
            const u64 candidate = ranked_for_argmax(to_float(logits[expert]), expert);
            if (candidate < chosen) best = Larger()(best, candidate);
        }
        chosen = join_warp(best, Larger());
        if (k == 0) {
            top = logit_of(chosen);
            for (u32 expert = lane; expert < p.count; expert += 32) total += expf(to_float(logits[expert]) - top);
            total = join_warp(total, Sum());
        }
        const float share = expf(logit_of(chosen) - top) / total;
        kept += share;
        if (lane == 0) {
            const u32 own = id_of(chosen) - p.first;
            experts[k] = own < p.own ? own : NONE;
            shares[k] = share;
        }
    }
    if (lane > 0 || !p.renormalise) return;
    for (u32 k = 0; k < p.active; k++) shares[k] /= kept;
}

struct Sort {
    u64 experts;
    u64 order;
    u64 tiles;
    u32 pairs;
    // Most pairs of a tile.
    u32 tile;
};

// Grid: a block for each expert of this rank. A block counts the pairs of all experts to find the first place of its
// own, and writes its own pairs there in their order.
KERNEL(sort, Sort)
{
    DYNAMIC_SHARED(u32, counts);
    __shared__ u32 in_warps[32];
    const u32 own = gridDim.x, expert = blockIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const u32* experts = reinterpret_cast<const u32*>(p.experts);
    for (u32 i = threadIdx.x; i < own; i += blockDim.x) counts[i] = 0;
    __syncthreads();
    for (u32 pair = threadIdx.x; pair < p.pairs; pair += blockDim.x)
        if (experts[pair] != NONE) atomicAdd(&counts[experts[pair]], 1u);
    __syncthreads();

    u32 place = 0, tile = 0, tiles = 0;
    for (u32 i = threadIdx.x; i < own; i += blockDim.x) {
        const u32 of_expert = (counts[i] + p.tile - 1) / p.tile;
        tiles += of_expert;
        if (i < expert) place += counts[i], tile += of_expert;
    }
    place = join_block(place, 0u, Sum());
    tile = join_block(tile, 0u, Sum());
    tiles = join_block(tiles, 0u, Sum());
    u32* table = reinterpret_cast<u32*>(p.tiles);
    if (expert == 0 && threadIdx.x == 0) table[0] = tiles;
    const u32 count = counts[expert];
    for (u32 i = threadIdx.x; i * p.tile < count; i += blockDim.x) {
        u32* entry = table + 1 + 3 * (tile + i);
        entry[0] = expert;
        entry[1] = place + i * p.tile;
        entry[2] = min(p.tile, count - i * p.tile);
    }

    u32* order = reinterpret_cast<u32*>(p.order) + place;
    for (u32 start = 0; start < p.pairs; start += blockDim.x) {
        const u32 pair = start + threadIdx.x;
        const bool is_mine = pair < p.pairs && experts[pair] == expert;
        const u32 ballot = __ballot_sync(0xffffffffu, is_mine);
        if (lane == 0) in_warps[warp] = __popc(ballot);
        __syncthreads();
        u32 before = 0, all = 0;
        for (u32 i = 0; i < blockDim.x / 32; i++) {
            before += i < warp ? in_warps[i] : 0;
            all += in_warps[i];
        }
        if (is_mine) order[before + __popc(ballot & ((1u << lane) - 1))] = pair;
        order += all;
        __syncthreads();
    }
}

struct Combine {
    u64 experts;
    u64 shares;
    u64 x;
    u64 y;
    u64 width;
    u64 active;
};

// Grid: rows in x, columns in y, a thread for each number.
KERNEL(combine, Combine)
{
    const u64 row = blockIdx.x, column = (u64)blockIdx.y * blockDim.x + threadIdx.x;
    if (column >= p.width) return;
    const u32* experts = reinterpret_cast<const u32*>(p.experts) + row * p.active;
    const float* shares = reinterpret_cast<const float*>(p.shares) + row * p.active;
    const REAL* x = reinterpret_cast<const REAL*>(p.x) + row * p.active * p.width + column;
    float sum = 0.0f;
#pragma unroll 4
    for (u32 k = 0; k < p.active; k++)
        if (experts[k] != NONE) sum += shares[k] * to_float(x[k * p.width]);
    store(reinterpret_cast<REAL*>(p.y) + row * p.width + column, sum);
}
