// add_bias: adds a bias to every row of a product. Launched by src/cuda/bias.rs where cuBLASLt cannot add it.
//
//   y     [rows, outputs] of Y, with `y_stride` numbers from row to row
//   bias  [outputs] of REAL
//
// compile: REAL=float|bf16|f16 Y=float|bf16|f16
#include "real.h"

struct AddBias {
    u64 y;
    u64 bias;
    u32 rows;
    u32 outputs;
    u32 y_stride;
    u32 unused;
};

// Grid: columns in x, up to 1024 rows in y. A block in y takes every gridDim.y-th row.
KERNEL(add_bias, AddBias)
{
    u32 column = blockIdx.x * blockDim.x + threadIdx.x;
    if (column >= p.outputs) return;
    float bias = to_float(reinterpret_cast<const REAL*>(p.bias)[column]);
    for (u32 row = blockIdx.y; row < p.rows; row += gridDim.y) {
        Y* y = reinterpret_cast<Y*>(p.y) + (u64)row * p.y_stride + column;
        store(y, to_float(*y) + bias);
    }
}
