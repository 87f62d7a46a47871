// decode: attention of sequences with one row each, in any formats and for any head width. Launched by
// src/ops/attention.rs.
//
//   queries  [rows, heads, DIM]
//   out      [rows, heads, DIM], or with several splits records [sequences, heads, splits] of Record
//
// Neighbouring lanes read a key together, each lane one vector of it. The keys of a block are dealt out to its groups
// of lanes in turn. Each group has a softmax of its own, and the groups are joined at the end.
// compile: DIM=64|128|256|9 REAL=float|bf16|f16 KV=float|bf16|f16
#include "attention_split.h"

// Most heads of a block. A group with more heads reads keys and values again for every four of them.
constexpr u32 THREADS = 128, HEADS = 4;

// The largest power of two that divides DIM, at most 16 bytes of a row.
constexpr u32 vector_width()
{
    u32 width = 16 / sizeof(KV);
    while (DIM % width) width /= 2;
    return width;
}
constexpr u32 lanes_of_a_key(u32 vectors)
{
    u32 lanes = 1;
    while (lanes < vectors && lanes < 32) lanes *= 2;
    return lanes;
}
constexpr u32 WIDTH = vector_width(), VECTORS = DIM / WIDTH, LANES = lanes_of_a_key(VECTORS);
// Vectors of a key that a lane reads, and groups of lanes in a block.
constexpr u32 EACH = (VECTORS + LANES - 1) / LANES, GROUPS = THREADS / LANES;

struct alignas(WIDTH * sizeof(KV)) Vector {
    KV x[WIDTH];
};

// Loads a lane's part of a row: zeros if the row or the part does not exist.
__device__ __forceinline__ void load(Vector (&to)[EACH], const KV* row, bool exists)
{
#pragma unroll
    for (u32 i = 0; i < EACH; i++) {
        u32 vector = i * LANES + threadIdx.x % LANES;
        to[i] = exists && vector < VECTORS ? reinterpret_cast<const Vector*>(row)[vector] : Vector{};
    }
}

// Grid: splits in x, KV heads times chunks of a group in y, sequences in z.
BOUNDED_KERNEL(THREADS, 1, decode, Attend)
{
    __shared__ float values_of_groups[GROUPS * HEADS * DIM], total[GROUPS * HEADS], most[GROUPS * HEADS];
    const Sequence sequence = listed(p, blockIdx.z);
    const u32 group = p.heads / p.kv_heads, chunks = (group + HEADS - 1) / HEADS;
    const u32 kv_head = blockIdx.y / chunks, within = blockIdx.y % chunks * HEADS;
    const u32 first_head = kv_head * group + within, heads = min(HEADS, group - within);
    const KV* keys = keys_of<KV>(p, sequence, kv_head, DIM);
    const KV* values = values_of<KV>(p, sequence, kv_head, DIM);
    const Range range = split_range(p, sequence, 1);
    const u32 lanes = threadIdx.x / LANES, lane = threadIdx.x % LANES;

    float queries[HEADS][EACH][WIDTH], sums[HEADS][EACH][WIDTH] = {}, powers[HEADS] = {}, largest[HEADS];
#pragma unroll
    for (u32 head = 0; head < HEADS; head++) {
        largest[head] = LOWEST;
        const REAL* row = reinterpret_cast<const REAL*>(p.queries) + place(p, sequence, first_head + head, DIM);
#pragma unroll
        for (u32 i = 0; i < EACH; i++)
#pragma unroll
            for (u32 j = 0; j < WIDTH; j++) {
                u32 d = (i * LANES + lane) * WIDTH + j;
                queries[head][i][j] = head < heads && d < DIM ? to_float(row[d]) : 0.0f;
            }
    }

    // All groups of lanes take the same number of steps, because they exchange numbers.
#pragma unroll 2
    for (u32 first = range.begin; first < range.end; first += GROUPS) {
        u32 at = first + lanes;
        Vector key[EACH], value[EACH];
        load(key, keys + static_cast<u64>(at) * DIM, at < range.end);
        load(value, values + static_cast<u64>(at) * DIM, at < range.end);
#pragma unroll
        for (u32 head = 0; head < HEADS; head++) {
            float product = 0.0f;
#pragma unroll
            for (u32 i = 0; i < EACH; i++)
#pragma unroll
                for (u32 j = 0; j < WIDTH; j++) product += queries[head][i][j] * to_float(key[i].x[j]);
#pragma unroll
            for (u32 change = LANES / 2; change; change /= 2) product += __shfl_xor_sync(0xffffffff, product, change);
            float here = at < range.end ? score(p, product) : LOWEST, top = fmaxf(largest[head], here);
            float factor = exp2f(largest[head] - top), power = at < range.end ? exp2f(here - top) : 0.0f;
            largest[head] = top;
            powers[head] = powers[head] * factor + power;
#pragma unroll
            for (u32 i = 0; i < EACH; i++)
#pragma unroll
                for (u32 j = 0; j < WIDTH; j++) sums[head][i][j] = sums[head][i][j] * factor + power * to_float(value[i].x[j]);
        }
    }

#pragma unroll
    for (u32 head = 0; head < HEADS; head++) {
        u32 row = lanes * HEADS + head;
        if (lane == 0) total[row] = powers[head], most[row] = largest[head];
#pragma unroll
        for (u32 i = 0; i < EACH; i++)
#pragma unroll
            for (u32 j = 0; j < WIDTH; j++) {
                u32 d = (i * LANES + lane) * WIDTH + j;
                if (d < DIM) values_of_groups[row * DIM + d] = sums[head][i][j];
            }
    }
    __syncthreads();
    finish(p, sequence, first_head, heads, GROUPS, HEADS, values_of_groups, total, most);
}
