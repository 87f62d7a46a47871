// prefill: attention of sequences with several rows, in any formats and for any head width. Launched by
// src/ops/attention.rs.
//
//   queries  [rows, heads, DIM]
//   out      [rows, heads, DIM]
//
// A block multiplies a tile of 32 queries of one head with 32 keys at a time, as f32 in shared memory. Each query has
// eight threads. A thread computes every eighth of the query's scores, and every eighth pair of its sums.
// compile: DIM=64|128|256|9 REAL=float|bf16|f16 KV=float
// compile: DIM=128 REAL=float KV=bf16|f16
#include "attention.h"

constexpr u32 QUERIES = 32, KEYS = 32, THREADS = 256, LANES = THREADS / QUERIES;
// Numbers of a row. A head of odd width is padded with a zero, so that a row consists of pairs.
constexpr u32 EVEN = DIM + DIM % 2;
// Numbers from row to row, so that the pairs of eight rows are in different banks.
constexpr u32 ROW = EVEN + 2, PAIRS = (EVEN / 2 + LANES - 1) / LANES;

struct alignas(8) Pair {
    float x, y;
};

// Loads rows [first, end) as f32, at most 32, and zeros for missing ones.
template <typename T> __device__ __forceinline__ void load(float* to, const T* from, u64 stride, u32 first, u32 end)
{
    for (u32 i = threadIdx.x; i < 32 * EVEN; i += THREADS) {
        u32 row = i / EVEN, d = i % EVEN;
        to[row * ROW + d] = first + row < end && d < DIM ? to_float(from[(first + row) * stride + d]) : 0.0f;
    }
}

// Grid: heads in x, tiles in y. The last tiles come first, because they see the most keys of their sequence.
BOUNDED_KERNEL(THREADS, 1, prefill, Attend)
{
    DYNAMIC_SHARED(float, shared);
    float *queries = shared, *rows = queries + QUERIES * ROW, *powers = rows + KEYS * ROW;
    const u32* tile = reinterpret_cast<const u32*>(p.list) + 2 * static_cast<u64>(p.count - 1 - blockIdx.y);
    const Sequence sequence = reinterpret_cast<const Sequence*>(p.sequences)[tile[0]];
    const u32 head = blockIdx.x, kv_head = head / (p.heads / p.kv_heads);
    const u32 first_query = tile[1], end_query = min(first_query + QUERIES, sequence.len);
    const u32 row = threadIdx.x / LANES, lane = threadIdx.x % LANES, position = sequence.past + first_query + row;
    const u64 start = place(p, sequence, head, DIM), stride = static_cast<u64>(p.heads) * DIM;
    const KV* keys = keys_of<KV>(p, sequence, kv_head, DIM);
    const KV* values = values_of<KV>(p, sequence, kv_head, DIM);

    load(queries, reinterpret_cast<const REAL*>(p.queries) + start, stride, first_query, end_query);
    float sums[PAIRS][2] = {}, total = 0.0f, largest = LOWEST;
    const u32 end = sequence.past + end_query;
    for (u32 first = first_key(p, sequence.past + first_query); first < end; first += KEYS) {
        __syncthreads();
        load(rows, keys, DIM, first, end);
        __syncthreads();
        float products[KEYS / LANES] = {};
        const Pair* query = reinterpret_cast<const Pair*>(queries + row * ROW);
#pragma unroll 4
        for (u32 i = 0; i < EVEN / 2; i++) {
            Pair q = query[i];
#pragma unroll
            for (u32 j = 0; j < KEYS / LANES; j++) {
                Pair k = reinterpret_cast<const Pair*>(rows + (j * LANES + lane) * ROW)[i];
                products[j] += q.x * k.x + q.y * k.y;
            }
        }
        float top = largest;
#pragma unroll
        for (u32 j = 0; j < KEYS / LANES; j++) {
            u32 key = first + j * LANES + lane;
            products[j] = key <= position && key >= first_key(p, position) ? score(p, products[j]) : HIDDEN;
            top = fmaxf(top, products[j]);
        }
#pragma unroll
        for (u32 change = LANES / 2; change; change /= 2) top = fmaxf(top, __shfl_xor_sync(0xffffffff, top, change));
        float factor = exp2f(largest - top);
        largest = top;
        total *= factor;
#pragma unroll
        for (u32 j = 0; j < KEYS / LANES; j++) {
            float power = exp2f(products[j] - top);
            total += power;
            powers[row * (KEYS + 1) + j * LANES + lane] = power;
        }
        __syncthreads();
        load(rows, values, DIM, first, end);
        __syncthreads();
#pragma unroll
        for (u32 i = 0; i < PAIRS; i++) sums[i][0] *= factor, sums[i][1] *= factor;
#pragma unroll 2
        for (u32 key = 0; key < KEYS; key++) {
            float power = powers[row * (KEYS + 1) + key];
#pragma unroll
            for (u32 i = 0; i < PAIRS; i++) {
                u32 pair = i * LANES + lane;
                if (pair >= EVEN / 2) continue;
                Pair v = reinterpret_cast<const Pair*>(rows + key * ROW)[pair];
                sums[i][0] += power * v.x;
                sums[i][1] += power * v.y;
            }
        }
    }
#pragma unroll
    for (u32 change = LANES / 2; change; change /= 2) total += __shfl_xor_sync(0xffffffff, total, change);
    if (first_query + row < end_query) {
        REAL* out = reinterpret_cast<REAL*>(p.out) + start + (first_query + row) * stride;
#pragma unroll
        for (u32 i = 0; i < PAIRS; i++) {
            u32 d = 2 * (i * LANES + lane);
            if (d < DIM) store(out + d, sums[i][0] / total);
            if (d + 1 < DIM) store(out + d + 1, sums[i][1] / total);
        }
    }
}
