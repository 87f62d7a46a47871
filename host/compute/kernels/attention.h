// What all attention kernels share. Scores are in base 2, so that softmax only needs `exp2`.
#pragma once
#include "sequence.h"

// Mirrored by `AttendParameters` of src/ops/attention.rs.
struct Attend {
    u64 queries;
    u64 out;
    u64 sequences;
    // Decode: u32 [count], indices in the table of sequences. Prefill: u32 [count, 2], the index and the tile's first
    // row.
    u64 list;
    // The results of decode's splits, if there are several: [count, heads, splits] of `Record`.
    u64 records;
    u32 heads;
    u32 kv_heads;
    u32 layer;
    // The largest u32 means no window.
    u32 window;
    u32 count;
    u32 splits;
    // log2(e) times the scale, or with a softcap the scale divided by the cap.
    float scale;
    // log2(e) times the cap. 0 means no cap.
    float cap;
};

// Below every score, but finite, so that the difference of two is a number even if no key was seen yet.
constexpr float LOWEST = -1e30f;

// The score of a key that a mask hides. It is so low that its power of two is 0, even if all keys so far are hidden.
constexpr float HIDDEN = -3e38f;

// Returns a score in base 2 from the product of query and key.
__device__ __forceinline__ float score(const Attend& p, float product)
{
    return p.cap > 0.0f ? p.cap * tanhf(product * p.scale) : product * p.scale;
}

// Returns the first key that the query at a position sees.
__device__ __forceinline__ u32 first_key(const Attend& p, u32 position)
{
    return position < p.window ? 0 : position + 1 - p.window;
}

// Returns the sequence of entry `index` in decode's list.
__device__ __forceinline__ const Sequence& listed(const Attend& p, u32 index)
{
    return reinterpret_cast<const Sequence*>(p.sequences)[reinterpret_cast<const u32*>(p.list)[index]];
}

// Returns the index at which the query of a head begins in a sequence's first row, and its result.
__device__ __forceinline__ u64 place(const Attend& p, const Sequence& sequence, u32 head, u32 dim)
{
    return (static_cast<u64>(sequence.start) * p.heads + head) * dim;
}

// Returns the keys of a head in a cache. The values of the head are `kv_heads * capacity` rows further.
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
