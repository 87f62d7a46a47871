// Residual sums and norms, a block for each row. A row is read once: shared memory keeps it between a sum over it and what is
// done with the sum. A thread reads back only what it has put there itself.
#include "reduce.h"
#include "vector.h"

constexpr u32 NONE = 0xffffffffu;

struct NormChange {
    u64 gain;
    u64 bias;
};

// No norm where the gain is 0.
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

// What a norm does to a number: subtract, multiply, and the gain and bias of its column.
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

// x plus a delta as REAL holds it, kept and, without an index, written.
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
