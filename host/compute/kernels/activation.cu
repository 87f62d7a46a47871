// activate, activate_vector: an activation function, with or without a gate. Launched by src/ops/activation.rs.
//
//   x    [rows, inner], or [rows, 2 inner] with a gate: each row is [gate, up]
//   out  [rows, inner]
//
// Grid: rows in x, columns in y.
#include "vector.h"

constexpr u32 SILU = 0;
constexpr u32 GELU = 1;

struct Activate {
    u64 x;
    u64 out;
    u32 inner;
    u32 activation;
    u32 gated;
    u32 unused;
};

__device__ __forceinline__ float activated(float x, u32 activation) {
    if (activation == SILU) return x / (1.0f + expf(-x));
    if (activation == GELU) return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f));
    return 0.5f * x * (1.0f + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x)));
}

template <int N>
__device__ __forceinline__ void activate_of(const Activate& p) {
    const u32 column = (blockIdx.y * blockDim.x + threadIdx.x) * N;
    if (column >= p.inner) return;
    const u64 row = blockIdx.x;
    const REAL* from = reinterpret_cast<const REAL*>(p.x) + row * p.inner * (p.gated ? 2 : 1) + column;
    float x[N];
    load_vector(x, from);
#pragma unroll
    for (int n = 0; n < N; n++) x[n] = activated(x[n], p.activation);
    if (p.gated) {
        float up[N];
        load_vector(up, from + p.inner);
#pragma unroll
        for (int n = 0; n < N; n++) x[n] *= up[n];
    }
    store_vector(reinterpret_cast<REAL*>(p.out) + row * p.inner + column, x);
}

KERNEL(activate, Activate) { activate_of<1>(p); }

KERNEL(activate_vector, Activate) { activate_of<VECTOR>(p); }
