// grouped, grouped_many: products of pairs with their experts' weights on tensor cores, in bf16 and f16 with sums in
// f32. Launched by src/ops/experts.rs.
//
//   x        [rows, inputs] or [pairs, inputs]
//   weights  u64 [experts], addresses of [outputs, inputs]
//   y        [pairs, outputs]
//
// Grid: tiles of pairs in x, outputs in y.
//
// A block multiplies a tile of pairs with some rows of an expert's weight. Its warps take turns along the inputs, 32 at
// a time, and their sums are added at the end. With few pairs, as in decode, only one thing matters: how many bytes of
// a weight are being loaded at the same time.
//
// A lane loads eight neighbouring inputs of a row at once. An instruction multiplies 16 inputs, of which a lane
// provides the pairs 2t and 2t + 8. The order of the inputs does not matter for a sum. So the first two pairs of the
// eight inputs go to one instruction and the other two to the next, in x and in the weight alike.
#include "grouped.h"
#include "once.h"
#include "tensor_core.h"

// compile: REAL=bf16|f16

constexpr u32 THREADS = 128, WARPS = THREADS / 32, DEPTH = 32;

// Loads eight inputs of a row from input k on: zeros beyond the end of the row, and if there is no row.
template <bool IS_ALIGNED> __device__ __forceinline__ Words load(const REAL* row, u32 k, u32 inputs)
{
    Words words = {};
    if (!row || k >= inputs) return words;
    if (IS_ALIGNED) return load_once(row + k);
    for (u32 i = 0; i < 8; i++)
        if (k + i < inputs) words.x[i / 2] |= (u32)row[k + i].bits << 16 * (i % 2);
    return words;
}

// Multiplies 16 M pairs with 8 N rows of a weight. STEPS times 32 inputs are loaded at once.
template <int M, int N, int STEPS, bool IS_ALIGNED>
__device__ __forceinline__ void multiply(const Grouped& p, const Tile& tile, float (&sums)[16 * M][8 * N + 1])
{
    constexpr u32 OUTPUTS = 8 * N;
    const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32, group = lane / 4, place = lane % 4;
    const u32 first = blockIdx.y * OUTPUTS;

    const REAL* rows[2 * M];
#pragma unroll
    for (u32 m = 0; m < 2 * M; m++) {
        const u32 pair = 8 * m + group;
        rows[m] = pair < tile.count ? row_of(p, tile.pairs[pair]) : nullptr;
    }
    const auto weight = [&](u32 n) {
        const u32 output = first + 8 * n + group;
        return output < p.outputs ? tile.weight + (u64)output * p.inputs : nullptr;
    };
    float c[M][N][4] = {};
    for (u32 start = warp * STEPS * DEPTH; start < p.inputs; start += WARPS * STEPS * DEPTH) {
        Words a[STEPS][2 * M], b[STEPS][N];
#pragma unroll
        for (u32 s = 0; s < STEPS; s++) {
            const u32 k = start + s * DEPTH + place * 8;
#pragma unroll
            for (u32 n = 0; n < N; n++) b[s][n] = load<IS_ALIGNED>(weight(n), k, p.inputs);
#pragma unroll
            for (u32 m = 0; m < 2 * M; m++) a[s][m] = load<IS_ALIGNED>(rows[m], k, p.inputs);
        }
#pragma unroll
        for (u32 s = 0; s < STEPS; s++)
#pragma unroll
            for (u32 m = 0; m < M; m++)
#pragma unroll
                for (u32 n = 0; n < N; n++)
#pragma unroll
                    for (u32 i = 0; i < 4; i += 2) {
                        const Words &upper = a[s][2 * m], &lower = a[s][2 * m + 1], &w = b[s][n];
                        const u32 x[4] = {upper.x[i], lower.x[i], upper.x[i + 1], lower.x[i + 1]};
                        mma_16x8x16(REAL{}, c[m][n], x, {w.x[i], w.x[i + 1]});
                    }
    }

    for (u32 turn = 0; turn < WARPS; turn++) {
        if (warp == turn) {
#pragma unroll
            for (u32 m = 0; m < M; m++)
#pragma unroll
                for (u32 n = 0; n < N; n++)
#pragma unroll
                    for (u32 i = 0; i < 4; i++) {
                        float& sum = sums[16 * m + group + i / 2 * 8][8 * n + 2 * place + i % 2];
                        sum = turn == 0 ? c[m][n][i] : sum + c[m][n][i];
                    }
        }
        __syncthreads();
    }
    for (u32 i = threadIdx.x; i < tile.count * OUTPUTS; i += THREADS) {
        const u32 pair = i / OUTPUTS, output = i % OUTPUTS;
        if (first + output >= p.outputs) continue;
        store(reinterpret_cast<REAL*>(p.y) + (u64)tile.pairs[pair] * p.outputs + first + output, sums[pair][output]);
    }
}

template <int M, int N, int STEPS> __device__ __forceinline__ void multiply(const Grouped& p)
{
    __shared__ float sums[16 * M][8 * N + 1];
    const Tile tile = tile_of(p, blockIdx.x);
    if (tile.count == 0) return;
    // Whether all rows begin at a multiple of 16 bytes.
    if ((p.x | reinterpret_cast<u64>(tile.weight) | p.inputs * sizeof(REAL)) % 16 == 0) multiply<M, N, STEPS, true>(p, tile, sums);
    else multiply<M, N, STEPS, false>(p, tile, sums);
}

// For few pairs per expert: tiles of 16 pairs, 32 outputs of a block.
KERNEL(grouped, Grouped) { multiply<1, 4, 2>(p); }

// For many pairs per expert: tiles of 64 pairs, 64 outputs of a block.
KERNEL(grouped_many, Grouped) { multiply<4, 8, 1>(p); }
