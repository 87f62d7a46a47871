// What the grouped products share: products of pairs with their experts' weights. Launched by src/ops/experts.rs.
#pragma once
#include "real.h"

struct Grouped {
    u64 x;
    u64 weights;
    u64 order;
    u64 tiles;
    u64 y;
    u32 inputs;
    u32 outputs;
    // Number of pairs for each row of x.
    u64 per_row;
};

// Pairs of one expert.
struct Tile {
    const REAL* weight;
    const u32* pairs;
    u32 count;
};

// Returns the tile of a block. Its count is 0 if there are fewer tiles than blocks.
__device__ __forceinline__ Tile tile_of(const Grouped& p, u32 block)
{
    const u32* tiles = reinterpret_cast<const u32*>(p.tiles);
    if (block >= tiles[0]) return {nullptr, nullptr, 0};
    const u32* entry = tiles + 1 + 3 * block;
    const u64 weight = reinterpret_cast<const u64*>(p.weights)[entry[0]];
    return {reinterpret_cast<const REAL*>(weight), reinterpret_cast<const u32*>(p.order) + entry[1], entry[2]};
}

__device__ __forceinline__ const REAL* row_of(const Grouped& p, u32 pair)
{
    return reinterpret_cast<const REAL*>(p.x) + (u64)(pair / p.per_row) * p.inputs;
}
