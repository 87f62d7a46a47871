// A sequence of a pass, as `ops::Sequence` of src/ops/mod.rs lays it out.
#pragma once
#include "real.h"

// Its KV cache is [layers, 2, kv_heads, capacity, head_dim]: keys, then values, of each layer.
struct Sequence {
    u64 cache;
    u32 capacity;
    u32 past;
    u32 start;
    u32 len;
};
