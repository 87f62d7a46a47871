// prefill: attention of sequences with several rows on tensor cores (Dao, FlashAttention-2, 2023), for caches in the
// model's 16-bit format and a DIM that 16 divides. Launched by src/ops/attention.rs.
//
//   queries  [rows, heads, DIM]
//   out      [rows, heads, DIM]
//
// A block has a tile of queries of one head, and each warp 32 or 16 of them. It goes through keys and values step by
// step.
//
//   S [queries, keys] = Q Kᵀ    A: queries from shared memory, B: keys
//   O [queries, dims] = P V     A: powers (the layouts of C and A are the same), B: values, transposed by `ldmatrix`
//
// The values of a step are copied while its scores are computed, and the keys of the next step during softmax and the
// second product. With 32 queries in a warp, each fragment of B is used for two products; otherwise shared memory would
// be the bottleneck.
// compile: DIM=64 QUERIES=128 KEYS=64 REAL=bf16|f16
// compile: DIM=80|96|128 QUERIES=128 KEYS=48 REAL=bf16|f16
// compile: DIM=256 QUERIES=64 KEYS=32 REAL=bf16|f16
#include "attention.h"
#include "tensor_core.h"

// src/ops/attention.rs chooses QUERIES of a tile and KEYS of a step so that S and O fit the registers.
constexpr u32 WARPS = 4, THREADS = 32 * WARPS, PARTS = QUERIES / (16 * WARPS);
// Numbers from row to row: 16 bytes more than a multiple of 32, so that eight rows are in different banks.
constexpr u32 ROW = DIM + 8;

// Copies rows [first, end), at most `ROWS`, and zeros for missing ones. A thread copies the same column of each of its
// rows, 16 bytes wide, so that addresses lie at constant distances.
template <u32 ROWS> __device__ __forceinline__ void copy(REAL* to, const REAL* from, u64 stride, u32 first, u32 end)
{
    constexpr u32 COLUMNS = DIM > 128 ? 32 : DIM > 64 ? 16 : 8, STEP = THREADS / COLUMNS;
    const u32 row = threadIdx.x / COLUMNS, d = threadIdx.x % COLUMNS * 8;
    if (d >= DIM) return;
    to += row * ROW + d;
    from += (first + row) * stride + d;
#pragma unroll
    for (u32 i = 0; i < ROWS; i += STEP) cp_async<16>(to + i * ROW, from + i * stride, first + row + i < end);
}

// Calls `change` for each of a lane's scores, with the row among the warp's queries and the column among the step's
// keys.
template <typename Change> __device__ __forceinline__ void each_score(float (&scores)[PARTS][KEYS / 8][4], Change change)
{
    const u32 g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (u32 part = 0; part < PARTS; part++)
#pragma unroll
        for (u32 n = 0; n < KEYS / 8; n++)
#pragma unroll
            for (u32 j = 0; j < 4; j++) change(scores[part][n][j], part * 16 + j / 2 * 8 + g, n * 8 + 2 * t + j % 2);
}

// Grid: heads in x, tiles in y. The last tiles come first, because they see the most keys of their sequence.
BOUNDED_KERNEL(THREADS, 2, prefill, Attend)
{
    DYNAMIC_SHARED(REAL, shared);
    REAL *queries = shared, *keys = queries + QUERIES * ROW, *values = keys + KEYS * ROW;
    const u32* tile = reinterpret_cast<const u32*>(p.list) + 2 * static_cast<u64>(p.count - 1 - blockIdx.y);
    const Sequence sequence = reinterpret_cast<const Sequence*>(p.sequences)[tile[0]];
    const u32 head = blockIdx.x, kv_head = head / (p.heads / p.kv_heads);
    const u32 first_query = tile[1], end_query = min(first_query + QUERIES, sequence.len);
    const u64 start = place(p, sequence, head, DIM), stride = static_cast<u64>(p.heads) * DIM;
    const REAL* all_keys = keys_of<REAL>(p, sequence, kv_head, DIM);
    const REAL* all_values = values_of<REAL>(p, sequence, kv_head, DIM);
    const u32 lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    // The warp's first query in the tile, and the positions of its first and last query in the sequence.
    const u32 warp_row = threadIdx.x / 32 * PARTS * 16;
    const u32 warp_first = sequence.past + first_query + warp_row;
    const u32 end = sequence.past + end_query, warp_last = min(warp_first + PARTS * 16, end) - 1;
    const bool has_queries = warp_first < end;
    // `ldmatrix` loads four matrices of 8 by 8. These are the row and column of the matrix row whose address this lane
    // passes.
    const u32 eighth = lane % 8, second = lane / 8 % 2, fourth = lane / 16;

    float sums[PARTS][DIM / 8][4] = {}, totals[PARTS][2] = {}, largest[PARTS][2];
#pragma unroll
    for (u32 part = 0; part < PARTS; part++) largest[part][0] = largest[part][1] = LOWEST;
    // Without a softcap, products are scaled where powers are computed.
    const float factor = p.cap > 0.0f ? 1.0f : p.scale;

    u32 first = first_key(p, sequence.past + first_query) / KEYS * KEYS;
    copy<QUERIES>(queries, reinterpret_cast<const REAL*>(p.queries) + start, stride, first_query, end_query);
    copy<KEYS>(keys, all_keys, DIM, first, end);
    cp_async_commit();
    for (; first < end; first += KEYS) {
        cp_async_wait<0>();
        __syncthreads();
        copy<KEYS>(values, all_values, DIM, first, end);
        cp_async_commit();
        const bool sees = has_queries && first <= warp_last && first + KEYS > first_key(p, warp_first);
        float scores[PARTS][KEYS / 8][4] = {};
        if (sees) {
#pragma unroll
            for (u32 d = 0; d < DIM; d += 16) {
                u32 a[PARTS][4];
#pragma unroll
                for (u32 part = 0; part < PARTS; part++)
                    ldmatrix_x4(a[part], queries + (warp_row + part * 16 + second * 8 + eighth) * ROW + d + fourth * 8);
#pragma unroll
                for (u32 n = 0; n < KEYS / 8; n += 2) {
                    u32 b[4];
                    ldmatrix_x4(b, keys + ((n + fourth) * 8 + eighth) * ROW + d + second * 8);
#pragma unroll
                    for (u32 part = 0; part < PARTS; part++) {
                        mma_16x8x16(REAL{}, scores[part][n], a[part], {b[0], b[1]});
                        mma_16x8x16(REAL{}, scores[part][n + 1], a[part], {b[2], b[3]});
                    }
                }
            }
        }
        cp_async_wait<0>();
        __syncthreads();
        if (first + KEYS < end) copy<KEYS>(keys, all_keys, DIM, first + KEYS, end);
        cp_async_commit();
        if (!sees) continue;

        if (p.cap > 0.0f) each_score(scores, [&](float& x, u32, u32) { x = score(p, x); });
        // Only steps at the diagonal or at the edge of the window hide keys.
        if (first + KEYS - 1 > warp_first || first < first_key(p, warp_last)) {
            each_score(scores, [&](float& x, u32 query, u32 key) {
                u32 position = warp_first + query;
                if (first + key > position || first + key < first_key(p, position)) x = HIDDEN;
            });
        }
#pragma unroll
        for (u32 part = 0; part < PARTS; part++) {
#pragma unroll
            for (u32 half = 0; half < 2; half++) {
                float top = HIDDEN;
#pragma unroll
                for (u32 n = 0; n < KEYS / 8; n++) top = fmaxf(top, fmaxf(scores[part][n][2 * half], scores[part][n][2 * half + 1]));
                top = fmaxf(top, __shfl_xor_sync(0xffffffff, top, 1));
                top = fmaxf(top, __shfl_xor_sync(0xffffffff, top, 2));
                top = fmaxf(largest[part][half], top * factor);
                float change = fast_exp2(largest[part][half] - top);
                largest[part][half] = top;
                totals[part][half] *= change;
#pragma unroll
                for (u32 n = 0; n < KEYS / 8; n++)
#pragma unroll
                    for (u32 j = 2 * half; j < 2 * half + 2; j++) {
                        scores[part][n][j] = fast_exp2(scores[part][n][j] * factor - top);
                        totals[part][half] += scores[part][n][j];
                    }
#pragma unroll
                for (u32 n = 0; n < DIM / 8; n++) sums[part][n][2 * half] *= change, sums[part][n][2 * half + 1] *= change;
            }
        }
#pragma unroll
        for (u32 k = 0; k < KEYS / 8; k += 2) {
            u32 a[PARTS][4];
#pragma unroll
            for (u32 part = 0; part < PARTS; part++)
#pragma unroll
                for (u32 j = 0; j < 4; j++)
                    a[part][j] = pack(REAL{}, scores[part][k + j / 2][j % 2 * 2], scores[part][k + j / 2][j % 2 * 2 + 1]);
#pragma unroll
            for (u32 n = 0; n < DIM / 8; n += 2) {
                u32 b[4];
                ldmatrix_x4_transposed(b, values + (k * 8 + second * 8 + eighth) * ROW + (n + fourth) * 8);
#pragma unroll
                for (u32 part = 0; part < PARTS; part++) {
                    mma_16x8x16(REAL{}, sums[part][n], a[part], {b[0], b[1]});
                    mma_16x8x16(REAL{}, sums[part][n + 1], a[part], {b[2], b[3]});
                }
            }
        }
    }
    cp_async_wait<0>();

    if (!has_queries) return;
#pragma unroll
    for (u32 part = 0; part < PARTS; part++)
#pragma unroll
        for (u32 half = 0; half < 2; half++) {
            float total = totals[part][half];
            total += __shfl_xor_sync(0xffffffff, total, 1);
            total += __shfl_xor_sync(0xffffffff, total, 2);
            u32 query = first_query + warp_row + part * 16 + half * 8 + g;
            if (query >= end_query) continue;
            u32* out = reinterpret_cast<u32*>(reinterpret_cast<REAL*>(p.out) + start + query * stride);
#pragma unroll
            for (u32 n = 0; n < DIM / 8; n++)
                out[n * 4 + t] = pack(REAL{}, sums[part][n][2 * half] / total, sums[part][n][2 * half + 1] / total);
        }
}
