// one_row, two_rows: a product of one or two rows with a weight. The speed is limited by how fast the weight is read.
// Launched by src/ops/gemv.rs.
//
//   x       [1 or 2, inputs]
//   weight  [outputs, inputs]
//   bias    [outputs]
//   y       [1 or 2, outputs], f32 or REAL, with `y_stride` numbers from row to row
//
// Grid: a warp for each output.
#include "once.h"
#include "reduce.h"

struct Gemv {
    u64 x;
    u64 weight;
    u64 y;
    // Address of REAL numbers, or 0 for no bias.
    u64 bias;
    u64 y_stride;
    u32 inputs;
    u32 outputs;
    u32 y_is_float;
    u32 accumulate;
};

// Numbers that a lane loads at once.
constexpr u32 VECTOR = sizeof(Words) / sizeof(REAL);
union Vector {
    Words words;
    REAL x[VECTOR];
};

template <int ROWS> __device__ __forceinline__ void multiply(const Gemv& p)
{
    // Loads of the weight that a lane starts before it waits for them.
    constexpr u32 LOADS = 8, STEP = 32 * VECTOR;
    const u32 output = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (output >= p.outputs) return;
    const REAL* weight = reinterpret_cast<const REAL*>(p.weight) + (u64)output * p.inputs;
    const REAL* x = reinterpret_cast<const REAL*>(p.x);
    float sums[ROWS] = {};
    for (u32 start = lane * VECTOR; start < p.inputs; start += LOADS * STEP) {
        Vector w[LOADS];
#pragma unroll
        for (u32 i = 0; i < LOADS; i++)
            if (start + i * STEP < p.inputs) w[i].words = load_once(weight + start + i * STEP);
#pragma unroll
        for (u32 i = 0; i < LOADS; i++) {
            const u32 at = start + i * STEP;
            if (at >= p.inputs) break;
#pragma unroll
            for (int row = 0; row < ROWS; row++) {
                const Vector of_row = *reinterpret_cast<const Vector*>(x + (u64)row * p.inputs + at);
#pragma unroll
                for (u32 n = 0; n < VECTOR; n++) sums[row] += to_float(w[i].x[n]) * to_float(of_row.x[n]);
            }
        }
    }
#pragma unroll
    for (int row = 0; row < ROWS; row++) {
        float sum = warp_sum(sums[row]);
        if (lane > 0) continue;
        const u64 at = row * p.y_stride + output;
        float* floats = reinterpret_cast<float*>(p.y) + at;
        REAL* reals = reinterpret_cast<REAL*>(p.y) + at;
        if (p.bias) sum += to_float(reinterpret_cast<const REAL*>(p.bias)[output]);
        if (p.accumulate) sum += p.y_is_float ? *floats : to_float(*reals);
        if (p.y_is_float) *floats = sum;
        else store(reals, sum);
    }
}

KERNEL(one_row, Gemv) { multiply<1>(p); }
KERNEL(two_rows, Gemv) { multiply<2>(p); }
