// Decode in splits: a block sees some of a sequence's keys for some of its heads, and `attention_combine.cu` puts them together.
#pragma once
#include "attention.h"

// What a split gives for a head of a sequence: the sum of values, each times 2^(score - most), of the powers, and the largest
// score. Records are [count, heads, splits].
struct Record {
    float values[DIM];
    float total;
    float most;
};

// Keys of a block.
struct Range {
    u32 begin;
    u32 end;
};

// The keys of split `blockIdx.x`, a multiple of `unit` but for the last ones.
__device__ inline Range split_range(const Attend& p, const Sequence& sequence, u32 unit)
{
    u32 first = first_key(p, sequence.past), end = sequence.past + 1;
    u32 each = (end - first + p.splits * unit - 1) / (p.splits * unit) * unit;
    u32 begin = min(first + blockIdx.x * each, end);
    return {begin, min(begin + each, end)};
}

// Adds up what the parts of a block have for `heads` heads, and writes it out. All threads call it after a barrier.
//   values [parts, rows, DIM]; total and most [parts, rows]; rows >= heads
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
