// append, append_pairs: norms and rotates queries and keys, writes the queries, and appends keys and values to the KV
// caches. squares: sums of squares of queries and keys. Launched by src/ops/rope.rs.
//
//   qkv            [rows, (heads + 2 kv_heads) * dim]
//   queries        [rows, heads * dim]
//   sequences      [sequences] of Sequence
//   row_sequences  u32 [rows]
//   positions      u32 [rows]
//   frequencies    f32 [pairs], or [sequences, pairs]
//   squares        f32 [rows, 2]
//
// Grid: rows in x, heads in y. A warp takes one or more heads, and computes the angles of its lanes' pairs once for all
// of them. The grid of squares has only rows.
#include "reduce.h"
#include "sequence.h"
#include "vector.h"

constexpr u32 WARPS = 8;
// Most pairs of dimensions that a lane rotates. 32 lanes with 4 pairs each suffice for heads of 256.
constexpr int PAIRS = 4;

// Values of `norm` in Append. 0 is no norm.
constexpr u32 EACH_HEAD = 1;
constexpr u32 ALL_HEADS = 2;

struct Append {
    u64 qkv;
    u64 queries;
    u64 sequences;
    u64 row_sequences;
    u64 positions;
    u64 frequencies;
    u64 frequency_stride;
    u64 gains[2];
    u64 squares;
    u32 heads;
    u32 kv_heads;
    u32 dim;
    u32 layer;
    u32 pairs;
    u32 norm;
    u32 heads_per_warp;
    float eps;
    float factor;
    u32 width;
};

struct Squares {
    u64 qkv;
    u64 out;
    float factors[2];
    u32 numbers[2];
    u64 width;
};

__device__ inline float sum_of_squares(const REAL* numbers, u32 count) {
    float sum = 0.0f;
    for (u32 i = threadIdx.x; i < count; i += blockDim.x) {
        const float x = to_float(numbers[i]);
        sum += x * x;
    }
    return block_sum(sum);
}

// A null gain means no norm.
template <int N>
__device__ __forceinline__ void load_normalised(float (&x)[N], const REAL* head, u32 i, const float* gain, float factor) {
    load_vector(x, head + i);
    if (!gain) return;
    float gains[N];
    load_vector(gains, gain + i);
#pragma unroll
    for (int n = 0; n < N; n++) x[n] = rounded(x[n] * factor * gains[n]);
}

// Keys are rounded to REAL first, then to the format of the cache.
template <int N, typename T>
__device__ __forceinline__ void store_rounded(T* to, float (&x)[N]) {
#pragma unroll
    for (int n = 0; n < N; n++) x[n] = rounded(x[n]);
    store_vector(to, x);
}

template <int N, typename T>
__device__ __forceinline__ void write_head(
    T* to, const REAL* head, u32 dim, const float* gain, float factor, u32 pairs, const float (&cosines)[PAIRS],
    const float (&sines)[PAIRS]) {
    const u32 first = threadIdx.x % 32 * N;
#pragma unroll
    for (int k = 0; k < PAIRS / N; k++) {
        const u32 i = first + k * 32 * N;
        if (i >= pairs) break;
        float a[N], b[N];
        load_normalised(a, head, i, gain, factor);
        load_normalised(b, head, i + pairs, gain, factor);
#pragma unroll
        for (int n = 0; n < N; n++) {
            const float cosine = cosines[k * N + n], sine = sines[k * N + n];
            const float turned = a[n] * cosine - b[n] * sine;
            b[n] = b[n] * cosine + a[n] * sine;
            a[n] = turned;
        }
        store_rounded(to + i, a);
        store_rounded(to + i + pairs, b);
    }
    for (u32 i = 2 * pairs + first; i < dim; i += 32 * N) {
        float x[N];
        load_normalised(x, head, i, gain, factor);
        store_rounded(to + i, x);
    }
}

template <int N>
__device__ __forceinline__ void append_of(const Append& p) {
    const u32 row = blockIdx.x, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const REAL* qkv = reinterpret_cast<const REAL*>(p.qkv) + (u64)row * p.width;
    float factors[2] = {};
    if (p.norm == ALL_HEADS) {
        const u32 numbers[2] = {p.heads * p.dim, p.kv_heads * p.dim};
        for (int which = 0; which < 2; which++) {
            const float square = p.squares
                ? reinterpret_cast<const float*>(p.squares)[2 * (u64)row + which]
                : sum_of_squares(qkv + which * numbers[0], numbers[which]) / (float)numbers[which];
            factors[which] = 1.0f / sqrtf(square + p.eps);
        }
    }
    const u32 position = reinterpret_cast<const u32*>(p.positions)[row];
    const u32 index = reinterpret_cast<const u32*>(p.row_sequences)[row];
    const float* frequencies = reinterpret_cast<const float*>(p.frequencies) + index * p.frequency_stride;
    float cosines[PAIRS] = {}, sines[PAIRS] = {};
#pragma unroll
    for (int k = 0; k < PAIRS; k++) {
        const u32 pair = (k / N * 32 + lane) * N + k % N;
        if (pair >= p.pairs) break;
        const float angle = (float)position * frequencies[pair];
        sincosf(angle, &sines[k], &cosines[k]);
        sines[k] *= p.factor;
        cosines[k] *= p.factor;
    }
    const Sequence sequence = reinterpret_cast<const Sequence*>(p.sequences)[index];
    const u32 heads = p.heads + 2 * p.kv_heads;
    const u32 first = (blockIdx.y * WARPS + warp) * p.heads_per_warp;
    for (u32 head = first; head < first + p.heads_per_warp && head < heads; head++) {
        const REAL* from = qkv + head * p.dim;
        // 0 for a query, 1 for a key, 2 for a value.
        const u32 kind = head < p.heads ? 0 : head < p.heads + p.kv_heads ? 1 : 2;
        const float* gain = nullptr;
        float factor = 1.0f;
        if (kind < 2 && p.norm == ALL_HEADS) {
            gain = reinterpret_cast<const float*>(p.gains[kind]) + (head - kind * p.heads) * p.dim;
            factor = factors[kind];
        } else if (kind < 2 && p.norm == EACH_HEAD) {
            gain = reinterpret_cast<const float*>(p.gains[kind]);
            float sum = 0.0f;
            for (u32 i = lane * N; i < p.dim; i += 32 * N) {
                float x[N];
                load_vector(x, from + i);
#pragma unroll
                for (int n = 0; n < N; n++) sum += x[n] * x[n];
            }
            factor = 1.0f / sqrtf(warp_sum(sum) / (float)p.dim + p.eps);
        }
        const u32 pairs = kind < 2 ? p.pairs : 0;
        if (kind == 0) {
            REAL* to = reinterpret_cast<REAL*>(p.queries) + ((u64)row * p.heads + head) * p.dim;
            write_head<N>(to, from, p.dim, gain, factor, pairs, cosines, sines);
        } else {
            const u64 keys = (u64)p.layer * 2 + (kind - 1);
            const u64 kv_head = keys * p.kv_heads + (head - p.heads) % p.kv_heads;
            KV* to = reinterpret_cast<KV*>(sequence.cache) + (kv_head * sequence.capacity + position) * p.dim;
            write_head<N>(to, from, p.dim, gain, factor, pairs, cosines, sines);
        }
    }
}

KERNEL(append, Append) { append_of<1>(p); }

KERNEL(append_pairs, Append) { append_of<2>(p); }

KERNEL(squares, Squares) {
    const REAL* qkv = reinterpret_cast<const REAL*>(p.qkv) + (u64)blockIdx.x * p.width;
    for (int which = 0; which < 2; which++) {
        const float sum = sum_of_squares(qkv + which * p.numbers[0], p.numbers[which]);
        if (threadIdx.x == 0) reinterpret_cast<float*>(p.out)[2 * (u64)blockIdx.x + which] = sum * p.factors[which];
    }
}
