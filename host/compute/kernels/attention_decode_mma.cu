// decode_8, decode_16: attention of sequences with one row each on tensor cores, for caches in the model's 16-bit
// format and a DIM that 16 divides. Launched by src/ops/attention.rs.
//
//   queries  [rows, heads, DIM]
//   out      [rows, heads, DIM], or with several splits records [sequences, heads, splits] of Record
//
// All query heads of a group are multiplied with the same keys, so that there are few instructions for each byte that
// is read.
//
//   S [heads, keys] = Q [heads, dims] Kᵀ        A: queries, B: keys
//   Oᵀ [dims, heads] = Vᵀ [dims, keys] Pᵀ       A: values, B: powers, which are already in the lanes that need them
//
// The order in which a product sums its inner dimension does not matter, nor the order of its rows. So a lane takes
// neighbouring dims, 16 bytes of a row at a time, instead of the dims that the layout of fragments would give it. Then
// no number crosses lanes: each lane copies to shared memory what only it reads, and no barrier is needed while keys
// are read.
// compile: DIM=64|80|96|128|256 REAL=bf16|f16
#include "attention_split.h"
#include "tensor_core.h"

constexpr u32 WARPS = 4, KEYS = 16, SLOTS = 3;
// Dims that a lane reads at a time. Four lanes are beside one another in a key, eight in a value.
constexpr u32 KEY_PIECE = DIM % 32 == 0 ? 8 : 4;
constexpr u32 VALUE_PIECE = DIM % 64 == 0 ? 8 : DIM % 32 == 0 ? 4 : 2;
constexpr u32 KEY_PIECES = DIM / (4 * KEY_PIECE), VALUE_PIECES = DIM / (8 * VALUE_PIECE);

// Neighbouring numbers, two in a word.
template <u32 COUNT> struct alignas(2 * COUNT) Piece {
    u32 words[COUNT / 2];
};

// A warp's slot of shared memory holds 16 keys or 16 values, piece by piece. The pieces of the 32 lanes are beside one
// another.
template <u32 COUNT> __device__ __forceinline__ Piece<COUNT>* piece_of(REAL* slot, u32 index)
{
    return reinterpret_cast<Piece<COUNT>*>(slot) + index * 32 + threadIdx.x % 32;
}

// Copies keys or values [first, end) to a slot, at most 16, and zeros for missing ones. A lane's pieces lie at constant
// distances.
__device__ __forceinline__ void copy_keys(REAL* slot, const REAL* keys, u32 first, u32 end)
{
    const u32 key = first + threadIdx.x % 32 / 4;
    const REAL* from = keys + static_cast<u64>(key) * DIM + threadIdx.x % 4 * KEY_PIECE;
#pragma unroll
    for (u32 i = 0; i < 2 * KEY_PIECES; i++) {
        u32 down = i / KEY_PIECES * 8;
        cp_async<2 * KEY_PIECE>(piece_of<KEY_PIECE>(slot, i), from + down * DIM + i % KEY_PIECES * 4 * KEY_PIECE, key + down < end);
    }
}
__device__ __forceinline__ void copy_values(REAL* slot, const REAL* values, u32 first, u32 end)
{
    const u32 key = first + threadIdx.x % 4 * 2;
    const REAL* from = values + static_cast<u64>(key) * DIM + threadIdx.x % 32 / 4 * VALUE_PIECE;
#pragma unroll
    for (u32 i = 0; i < 4 * VALUE_PIECES; i++) {
        // The four keys whose powers are in a lane: 2t, 2t + 1, 2t + 8, 2t + 9.
        u32 j = i / VALUE_PIECES, down = j % 2 + j / 2 * 8;
        cp_async<2 * VALUE_PIECE>(piece_of<VALUE_PIECE>(slot, i), from + down * DIM + i % VALUE_PIECES * 8 * VALUE_PIECE, key + down < end);
    }
}

// ROWS is the most heads of a block, 8 or 16. With 8, half of S stays zero.
template <u32 ROWS> __device__ __forceinline__ void decode(const Attend& p)
{
    DYNAMIC_SHARED(REAL, shared);
    __shared__ float total[WARPS * ROWS], most[WARPS * ROWS];
    constexpr u32 HALVES = ROWS / 8;
    const Sequence sequence = listed(p, blockIdx.z);
    const u32 group = p.heads / p.kv_heads, chunks = (group + ROWS - 1) / ROWS;
    const u32 kv_head = blockIdx.y / chunks, within = blockIdx.y % chunks * ROWS;
    const u32 first_head = kv_head * group + within, heads = min(ROWS, group - within);
    const u32 warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    const REAL* keys = keys_of<REAL>(p, sequence, kv_head, DIM);
    const REAL* values = values_of<REAL>(p, sequence, kv_head, DIM);
    const Range range = split_range(p, sequence, KEYS);
    REAL* slots = shared + warp * SLOTS * KEYS * DIM;
    // The block's steps of 16 keys are dealt out to its warps in turn.
    const u32 all_steps = (range.end - range.begin + KEYS - 1) / KEYS, steps = (all_steps + WARPS - 1 - warp) / WARPS;

    // Unit 2i is the keys of step i, unit 2i + 1 its values. Each unit has a group of copies, even if the group is
    // empty.
    auto copy = [&](u32 unit) {
        u32 first = range.begin + (unit / 2 * WARPS + warp) * KEYS;
        REAL* slot = slots + unit % SLOTS * KEYS * DIM;
        if (unit < 2 * steps && unit % 2 == 0) copy_keys(slot, keys, first, range.end);
        if (unit < 2 * steps && unit % 2 == 1) copy_values(slot, values, first, range.end);
        cp_async_commit();
    };
    copy(0);
    copy(1);

    Piece<KEY_PIECE> queries[KEY_PIECES][HALVES];
#pragma unroll
    for (u32 c = 0; c < KEY_PIECES; c++)
#pragma unroll
        for (u32 half = 0; half < HALVES; half++) {
            u32 head = half * 8 + g;
            const REAL* row = reinterpret_cast<const REAL*>(p.queries) + place(p, sequence, first_head + head, DIM);
            queries[c][half] = head < heads ? *reinterpret_cast<const Piece<KEY_PIECE>*>(row + (c * 4 + t) * KEY_PIECE) : Piece<KEY_PIECE>{};
        }

    float sums[HALVES][VALUE_PIECES][VALUE_PIECE / 2][4] = {};
    float largest[HALVES], powers[HALVES] = {};
#pragma unroll
    for (u32 half = 0; half < HALVES; half++) largest[half] = LOWEST;

    for (u32 step = 0; step < steps; step++) {
        copy(2 * step + 2);
        cp_async_wait<2>();
        REAL* slot = slots + 2 * step % SLOTS * KEYS * DIM;
        float scores[2][4] = {};
#pragma unroll
        for (u32 c = 0; c < KEY_PIECES; c++)
#pragma unroll
            for (u32 eight = 0; eight < 2; eight++) {
                Piece<KEY_PIECE> piece = *piece_of<KEY_PIECE>(slot, eight * KEY_PIECES + c);
#pragma unroll
                for (u32 w = 0; w < KEY_PIECE / 2; w += 2) {
                    u32 a[4] = {queries[c][0].words[w], 0, queries[c][0].words[w + 1], 0};
                    if (HALVES == 2) a[1] = queries[c][HALVES - 1].words[w], a[3] = queries[c][HALVES - 1].words[w + 1];
                    mma_16x8x16(REAL{}, scores[eight], a, {piece.words[w], piece.words[w + 1]});
                }
            }
        copy(2 * step + 3);

        u32 first = range.begin + (step * WARPS + warp) * KEYS;
        u32 b[HALVES][2];
#pragma unroll
        for (u32 half = 0; half < HALVES; half++) {
            float row[4], top = largest[half];
#pragma unroll
            for (u32 j = 0; j < 4; j++) {
                u32 key = first + j / 2 * 8 + 2 * t + j % 2;
                row[j] = key < range.end ? score(p, scores[j / 2][half * 2 + j % 2]) : LOWEST;
                top = fmaxf(top, row[j]);
            }
            top = fmaxf(top, __shfl_xor_sync(0xffffffff, top, 1));
            top = fmaxf(top, __shfl_xor_sync(0xffffffff, top, 2));
            float factor = fast_exp2(largest[half] - top);
            largest[half] = top;
            powers[half] *= factor;
#pragma unroll
            for (u32 j = 0; j < 4; j++) {
                row[j] = fast_exp2(row[j] - top);
                powers[half] += row[j];
            }
            b[half][0] = pack(REAL{}, row[0], row[1]);
            b[half][1] = pack(REAL{}, row[2], row[3]);
            // A lane has the sums of heads 2t and 2t + 1, but the scores of head g.
            float even = __shfl_sync(0xffffffff, factor, 8 * t), odd = __shfl_sync(0xffffffff, factor, 8 * t + 4);
#pragma unroll
            for (u32 c = 0; c < VALUE_PIECES; c++)
#pragma unroll
                for (u32 i = 0; i < VALUE_PIECE / 2; i++)
#pragma unroll
                    for (u32 j = 0; j < 4; j++) sums[half][c][i][j] *= j % 2 ? odd : even;
        }

        cp_async_wait<2>();
        slot = slots + (2 * step + 1) % SLOTS * KEYS * DIM;
#pragma unroll
        for (u32 c = 0; c < VALUE_PIECES; c++) {
            Piece<VALUE_PIECE> rows[4];
#pragma unroll
            for (u32 j = 0; j < 4; j++) rows[j] = *piece_of<VALUE_PIECE>(slot, j * VALUE_PIECES + c);
#pragma unroll
            for (u32 i = 0; i < VALUE_PIECE / 2; i++) {
                // Two neighbouring keys: row g is dim 2i, row g + 8 is dim 2i + 1.
                u32 a[4];
#pragma unroll
                for (u32 j = 0; j < 4; j += 2) {
                    u32 low = rows[j].words[i], high = rows[j + 1].words[i];
                    a[j] = (low & 0xffff) | high << 16;
                    a[j + 1] = low >> 16 | (high & 0xffff0000);
                }
#pragma unroll
                for (u32 half = 0; half < HALVES; half++) mma_16x8x16(REAL{}, sums[half][c][i], a, b[half]);
            }
        }
    }

    cp_async_wait<0>();
    __syncthreads();
    float* kept = reinterpret_cast<float*>(shared);
#pragma unroll
    for (u32 half = 0; half < HALVES; half++) {
        u32 row = warp * ROWS + half * 8 + g;
        powers[half] += __shfl_xor_sync(0xffffffff, powers[half], 1);
        powers[half] += __shfl_xor_sync(0xffffffff, powers[half], 2);
        if (t == 0) total[row] = powers[half], most[row] = largest[half];
#pragma unroll
        for (u32 c = 0; c < VALUE_PIECES; c++)
#pragma unroll
            for (u32 i = 0; i < VALUE_PIECE / 2; i++)
#pragma unroll
                for (u32 j = 0; j < 4; j++) {
                    u32 head = warp * ROWS + half * 8 + 2 * t + j % 2, d = (c * 8 + g) * VALUE_PIECE + 2 * i + j / 2;
                    kept[head * DIM + d] = sums[half][c][i][j];
                }
    }
    __syncthreads();
    finish(p, sequence, first_head, heads, WARPS, ROWS, kept, total, most);
}

// Grid: splits in x, KV heads times chunks of a group in y, sequences in z. Four blocks on a multiprocessor read as
// many bytes at a time as memory can deliver.
BOUNDED_KERNEL(128, DIM > 128 ? 2 : 4, decode_8, Attend) { decode<8>(p); }
BOUNDED_KERNEL(128, DIM > 128 ? 2 : 3, decode_16, Attend) { decode<16>(p); }
