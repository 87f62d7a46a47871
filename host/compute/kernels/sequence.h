// A sequence of a forward pass. Mirrored by `SequenceEntry` of src/ops/mod.rs.
#pragma once
#include "real.h"

// The KV cache is [layers, 2, kv_heads, capacity, head_dim]: for each layer all keys, then all values.
struct Sequence {
    u64 cache;
    u32 capacity;
    u32 past;
    u32 start;
    u32 len;
};
