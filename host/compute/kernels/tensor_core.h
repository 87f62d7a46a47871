// Tensor cores, `ldmatrix` and asynchronous copies to shared memory. On a GPU they are PTX instructions; on the
// emulated device they are functions that follow the layouts of fragments. A register holds two neighbouring numbers,
// the first in its low half. With g = lane / 4 and t = lane % 4:
//
//   A [16, 16]  register 0: row g, columns 2t and 2t + 1. 1: row g + 8. 2: row g, columns 2t + 8 and 2t + 9. 3: row g + 8, the same columns
//   B [16, 8]   register 0: rows 2t and 2t + 1 of column g. 1: rows 2t + 8 and 2t + 9
//   C [16, 8]   numbers 0 and 1: row g, columns 2t and 2t + 1. 2 and 3: row g + 8
//
// All lanes of a warp call each function together, except those for asynchronous copies.
#pragma once
#include "real.h"

#ifdef __CUDACC__

// Computes C += A B for bf16 or f16 with sums in f32.
__device__ __forceinline__ void mma_16x8x16(bf16, float (&c)[4], const u32 (&a)[4], const u32 (&b)[2])
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ void mma_16x8x16(f16, float (&c)[4], const u32 (&a)[4], const u32 (&b)[2])
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ u32 shared_address(const void* at) { return static_cast<u32>(__cvta_generic_to_shared(at)); }

// Loads four matrices of 8 by 8 from shared memory. Lanes 8i to 8i + 7 pass the addresses of the rows of matrix i, 16
// bytes each. Register i then holds the numbers 2t and 2t + 1 of row g of matrix i.
__device__ __forceinline__ void ldmatrix_x4(u32 (&to)[4], const void* row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(shared_address(row)) : "memory");
}
// Loads four matrices transposed: register i then holds number g of the rows 2t and 2t + 1 of matrix i.
__device__ __forceinline__ void ldmatrix_x4_transposed(u32 (&to)[4], const void* row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "r"(shared_address(row)) : "memory");
}

// Copies 4, 8 or 16 aligned bytes to shared memory, or writes zeros if `exists` is false.
template <u32 BYTES> __device__ __forceinline__ void cp_async(void* to, const void* from, bool exists)
{
    u32 size = exists ? BYTES : 0;
    if constexpr (BYTES == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(size) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
                     ::"r"(shared_address(to)), "l"(from), "n"(BYTES), "r"(size) : "memory");
}
// Ends a group of this thread's copies.
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most `GROUPS` groups of this thread are incomplete.
template <u32 GROUPS> __device__ __forceinline__ void cp_async_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(GROUPS) : "memory");
}

// Rounds two numbers and packs them into one register.
__device__ __forceinline__ u32 pack(bf16, float low, float high)
{
    u32 both;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}
__device__ __forceinline__ u32 pack(f16, float low, float high)
{
    u32 both;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
    return both;
}

// Returns 2^x with an error of at most 2^-22 of it, and 0 for results below the normal numbers.
__device__ __forceinline__ float fast_exp2(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

#else

template <typename Real> inline float half_of(u32 both, u32 half)
{
    Real x;
    x.bits = static_cast<unsigned short>(both >> 16 * half);
    return to_float(x);
}

template <typename Real> inline void mma_16x8x16(Real, float (&c)[4], const u32 (&a)[4], const u32 (&b)[2])
{
    struct Fragments { u32 a[4], b[2]; } mine = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
    u32 g = emulation::lane() / 4, t = emulation::lane() % 4;
    emulation::warp_exchange(emulation::ALL, mine, [&](emulation::Lanes<Fragments> lanes) {
        for (u32 i = 0; i < 4; i++) {
            u32 column = 2 * t + i % 2;
            float sum = 0.0f;
            for (u32 k = 0; k < 16; k++) {
                u32 other = k % 8 / 2;
                float a = half_of<Real>(lanes[g * 4 + other].a[i / 2 + k / 8 * 2], k % 2);
                sum += a * half_of<Real>(lanes[column * 4 + other].b[k / 8], k % 2);
            }
            c[i] += sum;
        }
        return 0;
    });
}

inline void ldmatrix_x4(u32 (&to)[4], const void* row)
{
    u32 g = emulation::lane() / 4, t = emulation::lane() % 4;
    emulation::warp_exchange(emulation::ALL, row, [&](emulation::Lanes<const void*> lanes) {
        for (u32 i = 0; i < 4; i++) to[i] = static_cast<const u32*>(lanes[8 * i + g])[t];
        return 0;
    });
    // On a GPU all lanes read together. Here one lane could overwrite a row before another one reads it.
    __syncwarp();
}
inline void ldmatrix_x4_transposed(u32 (&to)[4], const void* row)
{
    u32 g = emulation::lane() / 4, t = emulation::lane() % 4;
    emulation::warp_exchange(emulation::ALL, row, [&](emulation::Lanes<const void*> lanes) {
        auto at = [&](u32 i, u32 j) -> u32 { return static_cast<const unsigned short*>(lanes[8 * i + j])[g]; };
        for (u32 i = 0; i < 4; i++) to[i] = at(i, 2 * t) | at(i, 2 * t + 1) << 16;
        return 0;
    });
    __syncwarp();
}

template <u32 BYTES> inline void cp_async(void* to, const void* from, bool exists)
{
    exists ? __builtin_memcpy(to, from, BYTES) : __builtin_memset(to, 0, BYTES);
}
inline void cp_async_commit() {}
template <u32 GROUPS> inline void cp_async_wait() {}

template <typename Real> inline u32 pack(Real, float low, float high)
{
    Real pair[2];
    store(&pair[0], low);
    store(&pair[1], high);
    return pair[0].bits | static_cast<u32>(pair[1].bits) << 16;
}
inline float fast_exp2(float x) { return exp2f(x); }

#endif
