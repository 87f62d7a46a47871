// What the kernels of attention share. Scores are taken in base 2, so that softmax needs `exp2` alone.
#pragma once
#include "sequence.h"

// As `AttendParameters` of src/ops/attention.rs.
struct Attend {
    u64 queries;
    u64 out;
    u64 sequences;
    // Decode: u32 [count], places in the table of sequences. Prefill: u32 [count, 2], the place and the tile's first row.
    u64 list;
    // Decode with several splits: what they give, `Record` by `Record`.
    u64 records;
    u32 heads;
    u32 kv_heads;
    u32 layer;
    // The largest number where there is none.
    u32 window;
    u32 count;
    u32 splits;
    // log2(e) times the scale; with a softcap the scale over the cap.
    float scale;
    // log2(e) times the cap; 0 for none.
    float cap;
};

// Below every score, and finite: the difference of two is a number where no key was seen yet.
constexpr float LOWEST = -1e30f;

// The power of two of a score that a mask hides is 0, also where every key so far is hidden.
constexpr float HIDDEN = -3e38f;

// A score in base 2 from the product of query and key.
__device__ __forceinline__ float score(const Attend& p, float product)
{
    return p.cap > 0.0f ? p.cap * tanhf(product * p.scale) : product * p.scale;
}

// The first key that the query at a position sees.
__device__ __forceinline__ u32 first_key(const Attend& p, u32 position)
{
    return position < p.window ? 0 : position + 1 - p.window;
}

// Entry `index` of decode's list.
__device__ __forceinline__ const Sequence& listed(const Attend& p, u32 index)
{
    return reinterpret_cast<const Sequence*>(p.sequences)[reinterpret_cast<const u32*>(p.list)[index]];
}

// Where the query of a head begins in a sequence's first row, and its result.
__device__ __forceinline__ u64 place(const Attend& p, const Sequence& sequence, u32 head, u32 dim)
{
    return (static_cast<u64>(sequence.start) * p.heads + head) * dim;
}

// A head's keys in a cache; its values are `kv_heads * capacity` rows further.
template <typename Kv>
__device__ __forceinline__ const Kv* keys_of(const Attend& p, const Sequence& sequence, u32 kv_head, u32 dim)
{
    u64 row = (static_cast<u64>(p.layer) * 2 * p.kv_heads + kv_head) * sequence.capacity;
    return reinterpret_cast<const Kv*>(sequence.cache) + row * dim;
}
template <typename Kv>
__device__ __forceinline__ const Kv* values_of(const Attend& p, const Sequence& sequence, u32 kv_head, u32 dim)
{
    return keys_of<Kv>(p, sequence, kv_head + p.kv_heads, dim);
}
