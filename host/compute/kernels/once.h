// Loads of memory that is read only once. They leave the first-level cache to other data.
#pragma once
#include "real.h"

// 16 bytes.
struct alignas(16) Words {
    u32 x[4];
};

// Loads 16 bytes. `from` is a multiple of 16, and this kernel does not write there.
__device__ __forceinline__ Words load_once(const void* from)
{
#ifdef __CUDACC__
    Words words;
    asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(words.x[0]), "=r"(words.x[1]), "=r"(words.x[2]), "=r"(words.x[3])
        : "l"(from));
    return words;
#else
    return *static_cast<const Words*>(from);
#endif
}
