// A bias added to every row of a product, where the product's own library cannot.
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

// A thread for each column; blocks in y for rows.
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
