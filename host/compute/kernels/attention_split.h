// Decode in splits: a block sees some of a sequence's keys for some of its heads. attention_combine.cu joins the
// splits.
#pragma once
#include "attention.h"

// The result of a split for a head of a sequence. Records are [count, heads, splits]. `values` is the sum of the
// values, each times its power 2^(score - most); `total` is the sum of the powers; `most` is the largest score.
struct Record {
    float values[DIM];
    float total;
    float most;
};

// The keys of a block.
struct Range {
    u32 begin;
    u32 end;
};

// Returns the keys of split `blockIdx.x`. Their number is a multiple of `unit`, except in the last splits.
__device__ inline Range split_range(const Attend& p, const Sequence& sequence, u32 unit)
{
    u32 first = first_key(p, sequence.past), end = sequence.past + 1;
    u32 each = (end - first + p.splits * unit - 1) / (p.splits * unit) * unit;
    u32 begin = min(first + blockIdx.x * each, end);
    return {begin, min(begin + each, end)};
}

// Joins the results of a block's parts for `heads` heads and writes them. All threads call it after a barrier.
//   values [parts, rows, DIM], total and most [parts, rows], with rows >= heads
__device__ inline void finish(
    const Attend& p, const Sequence& sequence, u32 first_head, u32 heads, u32 parts, u32 rows, const float* values,
    const float* total, const float* most)
{
    for (u32 i = threadIdx.x; i < heads * DIM; i += blockDim.x) {
        u32 head = i / DIM, d = i % DIM;
        float largest = LOWEST, all = 0.0f, sum = 0.0f;
        for (u32 part = 0; part < parts; part++) largest = fmaxf(largest, most[part * rows + head]);
        for (u32 part = 0; part < parts; part++) {
            float factor = exp2f(most[part * rows + head] - largest);
            all += factor * total[part * rows + head];
            sum += factor * values[(part * rows + head) * DIM + d];
        }
        if (p.splits == 1) {
            REAL* out = reinterpret_cast<REAL*>(p.out) + place(p, sequence, first_head + head, DIM);
            store(out + d, sum / all);
            continue;
        }
        u64 index = (static_cast<u64>(blockIdx.z) * p.heads + first_head + head) * p.splits + blockIdx.x;
        Record& record = reinterpret_cast<Record*>(p.records)[index];
        record.values[d] = sum;
        if (d == 0) record.total = all, record.most = largest;
    }
}
