// Numbers that are loaded and stored several at a time, and computed in f32.
#pragma once
#include "real.h"

// Numbers that a thread moves at a time: 16 bytes.
constexpr int VECTOR = 16 / sizeof(REAL);

template <typename T, int N>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) Vector {
    T x[N];
};

// `from` and, in `store_vector`, `to` are multiples of N * sizeof(T) or of 16 bytes, whichever is less.
template <int N, typename T>
__device__ __forceinline__ void load_vector(float (&to)[N], const T* from) {
    const Vector<T, N> vector = *reinterpret_cast<const Vector<T, N>*>(from);
#pragma unroll
    for (int n = 0; n < N; n++) to[n] = to_float(vector.x[n]);
}

template <int N, typename T>
__device__ __forceinline__ void store_vector(T* to, const float (&from)[N]) {
    Vector<T, N> vector;
#pragma unroll
    for (int n = 0; n < N; n++) store(&vector.x[n], from[n]);
    *reinterpret_cast<Vector<T, N>*>(to) = vector;
}

// Rounds a number to REAL.
__device__ __forceinline__ float rounded(float x) {
    REAL real;
    store(&real, x);
    return to_float(real);
}
