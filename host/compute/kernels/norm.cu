// add_norm, add_norm_vector: x += post(deltas[0] + deltas[1]), then out = norm(x). Launched by src/ops/norm.rs.
//
//   x, deltas  [rows, width], or with `index` more rows
//   index      u32 [rows], rows of x and of the deltas to read
//   adapters   u32 [rows]
//   changes    [adapters] of NormChange
//   out        [rows, width]
//
// Grid: a block for each row. A row is read once: shared memory holds it between the sum over the row and the use of
// the sum. A thread only reads back what it has written itself.
#include "reduce.h"
#include "vector.h"

constexpr u32 NONE = 0xffffffffu;

struct NormChange {
    u64 gain;
    u64 bias;
};

// The weights of a norm. A gain of 0 means no norm.
struct NormWeights {
    u64 gain;
    u64 bias;
    u64 changes;
    float eps;
    u32 layer;
};

struct AddNorm {
    u64 x;
    u64 deltas[2];
    u64 out;
    u64 index;
    u64 adapters;
    NormWeights post;
    NormWeights norm;
    u64 width;
};

// A norm of one row: what to subtract, what to multiply with, and the gain and bias of the columns.
struct Normalise {
    float mean;
    float factor;
    const float* gain;
    const float* bias;
};

template <int N>
__device__ Normalise normalise(const NormWeights& weights, u32 adapter, const float* row, u32 width) {
    const u32 first = threadIdx.x * N, step = blockDim.x * N;
    float mean = 0.0f;
    if (weights.layer) {
        float sum = 0.0f;
        for (u32 i = first; i < width; i += step) {
            float x[N];
            load_vector(x, row + i);
#pragma unroll
            for (int n = 0; n < N; n++) sum += x[n];
        }
        mean = block_sum(sum) / (float)width;
    }
    float squares = 0.0f;
    for (u32 i = first; i < width; i += step) {
        float x[N];
        load_vector(x, row + i);
#pragma unroll
        for (int n = 0; n < N; n++) squares += (x[n] - mean) * (x[n] - mean);
    }
    const float factor = 1.0f / sqrtf(block_sum(squares) / (float)width + weights.eps);
    u64 gain = weights.gain, bias = weights.bias;
    if (weights.changes && adapter != NONE) {
        const NormChange change = reinterpret_cast<const NormChange*>(weights.changes)[adapter];
        if (change.gain) gain = change.gain;
        if (change.bias) bias = change.bias;
    }
    return {mean, factor, reinterpret_cast<const float*>(gain), reinterpret_cast<const float*>(bias)};
}

template <int N>
__device__ __forceinline__ void apply(const Normalise& norm, float (&x)[N], u32 column) {
    float gain[N], bias[N] = {};
    load_vector(gain, norm.gain + column);
    if (norm.bias) load_vector(bias, norm.bias + column);
#pragma unroll
    for (int n = 0; n < N; n++) x[n] = (x[n] - norm.mean) * norm.factor * gain[n] + bias[n];
}

// Adds a delta to x and rounds to REAL. The sum goes to `kept` in shared memory and, without an index, to x.
template <int N>
__device__ __forceinline__ void add(const AddNorm& p, REAL* x, float (&delta)[N], float* kept) {
    float sum[N];
    load_vector(sum, x);
#pragma unroll
    for (int n = 0; n < N; n++) sum[n] = rounded(sum[n] + delta[n]);
    if (!p.index && (p.deltas[0] || p.deltas[1])) store_vector(x, sum);
    store_vector(kept, sum);
}

template <int N>
__device__ __forceinline__ void add_norm_of(const AddNorm& p) {
    DYNAMIC_SHARED(float, row);
    const u32 width = (u32)p.width, first = threadIdx.x * N, step = blockDim.x * N;
    const u32 taken = p.index ? reinterpret_cast<const u32*>(p.index)[blockIdx.x] : blockIdx.x;
    const u32 adapter = p.adapters ? reinterpret_cast<const u32*>(p.adapters)[blockIdx.x] : NONE;
    const u64 start = (u64)taken * width;
    REAL* x = reinterpret_cast<REAL*>(p.x) + start;
    for (u32 i = first; i < width; i += step) {
        float delta[N] = {};
        for (int which = 0; which < 2; which++) {
            if (!p.deltas[which]) continue;
            float more[N];
            load_vector(more, reinterpret_cast<const REAL*>(p.deltas[which]) + start + i);
#pragma unroll
            for (int n = 0; n < N; n++) delta[n] += more[n];
        }
        if (p.post.gain) {
            store_vector(row + i, delta);
        } else {
            add(p, x + i, delta, row + i);
        }
    }
    if (p.post.gain) {
        const Normalise post = normalise<N>(p.post, adapter, row, width);
        for (u32 i = first; i < width; i += step) {
            float delta[N];
            load_vector(delta, row + i);
            apply(post, delta, i);
#pragma unroll
            for (int n = 0; n < N; n++) delta[n] = rounded(delta[n]);
            add(p, x + i, delta, row + i);
        }
    }
    if (!p.norm.gain) return;
    const Normalise norm = normalise<N>(p.norm, adapter, row, width);
    REAL* out = reinterpret_cast<REAL*>(p.out) + (u64)blockIdx.x * width;
    for (u32 i = first; i < width; i += step) {
        float y[N];
        load_vector(y, row + i);
        apply(norm, y, i);
        store_vector(out + i, y);
    }
}

KERNEL(add_norm, AddNorm) { add_norm_of<1>(p); }

KERNEL(add_norm_vector, AddNorm) { add_norm_of<VECTOR>(p); }
