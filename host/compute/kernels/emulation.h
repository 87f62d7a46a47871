// CUDA C as C++17 for the emulated device: only what the kernels of this folder use of CUDA.
#pragma once
#include "fibers.h"

#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __constant__ static const
#define __shared__ static thread_local

#define KERNEL(name, Parameters)                                                                                        \
    static void name##_thread(const Parameters& p);                                                                     \
    extern "C" u32 name(const emulation::Launch* launch)                                                                \
    {                                                                                                                   \
        return emulation::run(*launch, [](const void* p) { name##_thread(*static_cast<const Parameters*>(p)); });       \
    }                                                                                                                   \
    static void name##_thread(const Parameters& p)
#define BOUNDED_KERNEL(threads, blocks, name, Parameters) KERNEL(name, Parameters)
#define DYNAMIC_SHARED(Type, name) Type* name = reinterpret_cast<Type*>(emulation::block().shared)

#define threadIdx (emulation::block().current->index)
#define blockIdx (emulation::block().index)
#define blockDim (emulation::block().dimensions)
#define gridDim (emulation::block().blocks)

namespace emulation {

// The values that the lanes of a warp have given in an exchange.
template <typename T> struct Lanes {
    const unsigned char* slots;
    const T& operator[](u32 lane) const { return *reinterpret_cast<const T*>(slots + lane * SLOT); }
};

// Every lane of the mask gives a value of at most 64 bytes, then reads the values of all lanes. Returns the result of
// `read`.
template <typename T, typename Read> inline auto warp_exchange(u32 mask, const T& value, Read read)
{
    static_assert(sizeof(T) <= SLOT, "at most 64 bytes a lane");
    Block& b = block();
    Thread& thread = *b.current;
    u32 set = mask == ALL ? thread.exchanges++ & 1 : 2;
    unsigned char* slots = b.warps[thread.index.x / WARP].slots[set][0];
    __builtin_memcpy(slots + thread.index.x % WARP * SLOT, &value, sizeof(T));
    meet(mask);
    auto result = read(Lanes<T>{slots});
    if (mask != ALL) meet(mask);
    return result;
}

template <typename T> inline T shuffle(u32 mask, T value, u32 lane)
{
    return warp_exchange(mask, value, [lane](Lanes<T> lanes) { return lanes[lane]; });
}

inline u32 lane() { return block().current->index.x % WARP; }

template <typename T, typename Change> inline T change(T* at, Change change)
{
    T old = __atomic_load_n(at, __ATOMIC_RELAXED);
    T changed;
    do changed = change(old);
    while (!__atomic_compare_exchange_n(at, &old, changed, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return old;
}

}  // namespace emulation

inline void __syncthreads()
{
    emulation::Block& b = emulation::block();
    if (++b.at_barrier + b.returned == b.dimensions.x) return emulation::release_barrier(b);
    b.barrier.push(b.current);
    emulation::leave(b);
}
inline void __syncwarp(u32 mask = emulation::ALL) { emulation::meet(mask); }

template <typename T> inline T __shfl_sync(u32 mask, T value, int source, int width = 32)
{
    u32 first = emulation::lane() & ~(width - 1);
    return emulation::shuffle(mask, value, first + (source & (width - 1)));
}
template <typename T> inline T __shfl_xor_sync(u32 mask, T value, int change, int width = 32)
{
    u32 lane = emulation::lane(), other = lane ^ change;
    return emulation::shuffle(mask, value, other > (lane | (width - 1)) ? lane : other);
}
template <typename T> inline T __shfl_down_sync(u32 mask, T value, u32 by, int width = 32)
{
    u32 lane = emulation::lane(), other = lane + by;
    return emulation::shuffle(mask, value, other > (lane | (width - 1)) ? lane : other);
}
template <typename T> inline T __shfl_up_sync(u32 mask, T value, u32 by, int width = 32)
{
    u32 lane = emulation::lane();
    return emulation::shuffle(mask, value, (lane & (width - 1)) < by ? lane : lane - by);
}
inline u32 __ballot_sync(u32 mask, int predicate)
{
    return emulation::warp_exchange(mask, predicate, [mask](emulation::Lanes<int> lanes) {
        emulation::Block& b = emulation::block();
        u32 ballot = 0;
        for (u32 rest = mask & ~b.warps[b.current->index.x / 32].returned; rest; rest &= rest - 1)
            if (lanes[__builtin_ctz(rest)]) ballot |= rest & -rest;
        return ballot;
    });
}
inline int __any_sync(u32 mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(u32 mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }

inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() {}

inline u32 atomicAdd(u32* at, u32 x) { return __atomic_fetch_add(at, x, __ATOMIC_SEQ_CST); }
inline int atomicAdd(int* at, int x) { return __atomic_fetch_add(at, x, __ATOMIC_SEQ_CST); }
inline u64 atomicAdd(u64* at, u64 x) { return __atomic_fetch_add(at, x, __ATOMIC_SEQ_CST); }
inline u32 atomicOr(u32* at, u32 x) { return __atomic_fetch_or(at, x, __ATOMIC_SEQ_CST); }
inline u32 atomicAnd(u32* at, u32 x) { return __atomic_fetch_and(at, x, __ATOMIC_SEQ_CST); }
inline u32 atomicExch(u32* at, u32 x) { return __atomic_exchange_n(at, x, __ATOMIC_SEQ_CST); }
inline u32 atomicMax(u32* at, u32 x) { return emulation::change(at, [x](u32 y) { return x > y ? x : y; }); }
inline int atomicMax(int* at, int x) { return emulation::change(at, [x](int y) { return x > y ? x : y; }); }
inline u64 atomicMax(u64* at, u64 x) { return emulation::change(at, [x](u64 y) { return x > y ? x : y; }); }
inline u32 atomicMin(u32* at, u32 x) { return emulation::change(at, [x](u32 y) { return x < y ? x : y; }); }
inline int atomicMin(int* at, int x) { return emulation::change(at, [x](int y) { return x < y ? x : y; }); }
inline u32 atomicCAS(u32* at, u32 expected, u32 x)
{
    __atomic_compare_exchange_n(at, &expected, x, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}

inline u32 __float_as_uint(float x) { u32 y; __builtin_memcpy(&y, &x, 4); return y; }
inline int __float_as_int(float x) { return (int)__float_as_uint(x); }
inline float __uint_as_float(u32 x) { float y; __builtin_memcpy(&y, &x, 4); return y; }
inline float __int_as_float(int x) { return __uint_as_float((u32)x); }
inline float atomicAdd(float* at, float x)
{
    return __uint_as_float(emulation::change(reinterpret_cast<u32*>(at), [x](u32 y) { return __float_as_uint(__uint_as_float(y) + x); }));
}

inline int __popc(u32 x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x ? __builtin_clz((u32)x) : 32; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline u32 __umulhi(u32 x, u32 y) { return (u64)x * y >> 32; }
inline u64 __umul64hi(u64 x, u64 y) { return (u64)((unsigned __int128)x * y >> 64); }
template <typename T> inline T __ldg(const T* at) { return *at; }

// Declared here, because standard headers take longer to compile than most kernels.
extern "C" {
float expf(float) noexcept;
float exp2f(float) noexcept;
float expm1f(float) noexcept;
float logf(float) noexcept;
float log2f(float) noexcept;
float log1pf(float) noexcept;
float powf(float, float) noexcept;
float sinf(float) noexcept;
float cosf(float) noexcept;
float tanhf(float) noexcept;
float erff(float) noexcept;
double exp(double) noexcept;
double log(double) noexcept;
double pow(double, double) noexcept;
}
inline void sincosf(float x, float* sine, float* cosine) { *sine = sinf(x); *cosine = cosf(x); }
inline float sqrtf(float x) { return __builtin_sqrtf(x); }
inline float rsqrtf(float x) { return 1.0f / __builtin_sqrtf(x); }
inline double sqrt(double x) { return __builtin_sqrt(x); }
inline float fabsf(float x) { return __builtin_fabsf(x); }
inline double fabs(double x) { return __builtin_fabs(x); }
inline float floorf(float x) { return __builtin_floorf(x); }
inline float ceilf(float x) { return __builtin_ceilf(x); }
inline float rintf(float x) { return __builtin_rintf(x); }
inline float truncf(float x) { return __builtin_truncf(x); }
inline float fmaf(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
inline double fma(double x, double y, double z) { return __builtin_fma(x, y, z); }
// If one number is NaN the other one is returned, as in CUDA.
inline float fmaxf(float x, float y) { return x >= y || y != y ? x : y; }
inline float fminf(float x, float y) { return x <= y || y != y ? x : y; }
inline double fmax(double x, double y) { return x >= y || y != y ? x : y; }
inline double fmin(double x, double y) { return x <= y || y != y ? x : y; }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline bool isnan(float x) { return x != x; }
inline bool isnan(double x) { return x != x; }
inline bool isinf(float x) { return __builtin_isinf(x); }
inline bool isfinite(float x) { return __builtin_isfinite(x); }
inline int min(int x, int y) { return x < y ? x : y; }
inline int max(int x, int y) { return x > y ? x : y; }
inline u32 min(u32 x, u32 y) { return x < y ? x : y; }
inline u32 max(u32 x, u32 y) { return x > y ? x : y; }
inline u64 min(u64 x, u64 y) { return x < y ? x : y; }
inline u64 max(u64 x, u64 y) { return x > y ? x : y; }
