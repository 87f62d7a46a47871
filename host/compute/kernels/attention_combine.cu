// combine: the second step of decode, which joins the results of a head's splits. Launched by src/ops/attention.rs.
//
//   records  [sequences, heads, splits] of Record
//   out      [rows, heads, DIM]
//
// compile: DIM=64|128|256|9 REAL=float|bf16|f16
#include "attention_split.h"

// Grid: heads in x, sequences in y.
KERNEL(combine, Attend)
{
    const Sequence& sequence = listed(p, blockIdx.y);
    const u64 first = (static_cast<u64>(blockIdx.y) * p.heads + blockIdx.x) * p.splits;
    const Record* records = reinterpret_cast<const Record*>(p.records) + first;
    REAL* out = reinterpret_cast<REAL*>(p.out) + place(p, sequence, blockIdx.x, DIM);
    float largest = LOWEST;
#pragma unroll 8
    for (u32 split = 0; split < p.splits; split++) largest = fmaxf(largest, records[split].most);
    for (u32 d = threadIdx.x; d < DIM; d += blockDim.x) {
        float all = 0.0f, sum = 0.0f;
#pragma unroll 8
        for (u32 split = 0; split < p.splits; split++) {
            float factor = exp2f(records[split].most - largest);
            all += factor * records[split].total;
            sum += factor * records[split].values[d];
        }
        store(out + d, sum / all);
    }
}
