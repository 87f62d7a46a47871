// sample: draws a token for each row of logits, as host/engine/src/sampling does. Launched by src/ops/sampling.rs.
//
//   logits  f32 [.., vocab]
//   index   u32 [rows]
//   draws   [rows] of Draw
//   out     u32 [rows]
//
// Grid: a block for each row.
//
//   argmax ─► weights of all ─► top-k ─► top-p ─► min-p ─► one draw
//
// Tokens are ordered by their logits, and tokens with equal logits by their ids (ranked.h). Each option keeps the first
// tokens of this order, down to the token at which there are enough, by count or by weight. The drawn token is found in
// the same way. `Row::search` halves an interval of ranks until its tokens fit into shared memory. If no option removes
// tokens, the draw goes through tokens in the order of their ids.
#include "ranked.h"

// Threads of a block. Also the number of tokens up to which an interval is sorted instead of halved.
constexpr u32 THREADS = 512;
constexpr u32 WARPS = THREADS / 32;

// The natural logarithm of the smallest f64 above zero, rounded up. Tokens with a smaller weight cannot be drawn.
constexpr double LEAST_EXPONENT = -744.0;

struct Sample {
    u64 logits;
    u64 index;
    u64 draws;
    u64 out;
    u64 vocab;
};

struct Draw {
    double share;
    float temperature;
    u32 top_k;
    float top_p;
    float min_p;
};

// Some of a row's tokens: their number, their total weight, and the rank of the least likely one.
struct Some {
    u32 count;
    double weight;
    u64 least;
};

// Says when the most likely tokens are enough: when there are so many, or when their total weight reaches or exceeds a
// value.
struct Enough {
    enum { COUNT, REACH, EXCEED } of;
    double value;
    __device__ bool operator()(u32 count, double weight) const
    {
        return of == COUNT ? count >= value : of == REACH ? weight >= value : weight > value;
    }
};

// The tokens of an interval, the most likely first.
struct Sorted {
    u64 ranks[THREADS];
    double weights[THREADS];
    u64 unsorted[THREADS];
    u32 count;
    // Result of the search among these tokens.
    Some found;
};

// The state of a draw in the order of ids: the ids that are left, the weight of all ids before them, and the weights of
// their parts.
struct Parts {
    double weights[THREADS];
    double before;
    u32 from;
    u32 count;

    // Keeps only the part in which the target lies. A target below zero is not known yet: it is a share of the total
    // weight. Returns the target.
    __device__ double narrow(u32 parts, u32 part, double target, double share)
    {
        if (target < 0.0) {
            target = 0.0;
            for (u32 i = 0; i < parts; i++) target += weights[i];
            target *= share;
        }
        // Rounding may leave the total weight at or below the target. Then the last token that can be drawn is chosen.
        u32 last = 0;
        double reached = before;
        for (u32 i = 0; i < parts && reached <= target; i++) {
            if (weights[i] > 0.0) last = i, before = reached;
            reached += weights[i];
        }
        from += part * last;
        count = min(part, count - part * last);
        return target;
    }
};

struct Row {
    const float* logits;
    u32 vocab;
    float top;
    float temperature;

    // The logarithm of a weight. It is 0 for the largest logit, even if that is infinite.
    __device__ double exponent(float logit) const { return logit == top ? 0.0 : (double)((logit - top) / temperature); }
    __device__ double weight(float logit) const { return exp(exponent(logit)); }

    // Counts and sums the tokens with ranks in [from, to) whose exponents are at least `least`.
    __device__ Some survey(u64 from, u64 to, double least) const
    {
        Some some = {0, 0.0, ~(u64)0};
        each_logit(logits, threadIdx.x, vocab, THREADS, [&](float logit, u32 id) {
            const u64 rank = ranked(logit, id);
            if (rank < from || rank >= to) return;
            const double exponent = this->exponent(logit);
            if (exponent < least) return;
            some.count++;
            some.weight += exp(exponent);
            some.least = Smaller()(some.least, rank);
        });
        return {join_block(some.count, 0u, Sum()), join_block(some.weight, 0.0, Sum()), join_block(some.least, ~(u64)0, Smaller())};
    }

    // A rank between two ranks: the middle of their logits, or the middle of their bits if that equals one of the two.
    __device__ u64 middle(u64 from, u64 to) const
    {
        const float low = logit_of(from), high = logit_of(to - 1);
        const u64 rank = (u64)ordered(low + 0.5f * (high - low)) << 32;
        return from < rank && rank < to ? rank : from + (to - from) / 2;
    }

    // Sorts the tokens of an interval into shared memory. The place of a token is the number of tokens that rank above
    // it.
    __device__ void sort(u64 from, u64 to, Sorted& sorted) const
    {
        __syncthreads();
        if (threadIdx.x == 0) sorted.count = 0;
        __syncthreads();
        each_logit(logits, threadIdx.x, vocab, THREADS, [&](float logit, u32 id) {
            const u64 rank = ranked(logit, id);
            if (rank >= from && rank < to) sorted.unsorted[atomicAdd(&sorted.count, 1u)] = rank;
        });
        __syncthreads();
        if (threadIdx.x < sorted.count) {
            const u64 rank = sorted.unsorted[threadIdx.x];
            u32 place = 0;
            for (u32 i = 0; i < sorted.count; i++) place += sorted.unsorted[i] > rank;
            sorted.ranks[place] = rank;
            sorted.weights[place] = weight(logit_of(rank));
        }
        __syncthreads();
    }

    // Searches for the first token, from the most likely on, at which the tokens so far are enough. It is the last of
    // `all` if they never are. `all` are the tokens with a rank of at least `all.least`. Returns the tokens up to the
    // one found.
    __device__ Some search(const Some& all, Enough is_enough, Sorted& sorted) const
    {
        u64 from = all.least, to = ranked(top + 0.0f, 0) + 1;
        Some before = {0, 0.0, to};
        u32 within = all.count;
        while (within > THREADS) {
            const u64 middle = this->middle(from, to);
            Some upper = survey(middle, to, LEAST_EXPONENT);
            if (is_enough(before.count + upper.count, before.weight + upper.weight)) {
                from = middle;
                within = upper.count;
            } else {
                to = middle;
                within -= upper.count;
                before = {before.count + upper.count, before.weight + upper.weight, upper.least};
            }
        }
        sort(from, to, sorted);
        if (threadIdx.x == 0) {
            for (u32 i = 0; i < sorted.count; i++) {
                before = {before.count + 1, before.weight + sorted.weights[i], sorted.ranks[i]};
                if (is_enough(before.count, before.weight)) break;
            }
            sorted.found = before;
        }
        __syncthreads();
        return sorted.found;
    }

    // Returns the token, in the order of ids, at which the weights so far exceed a share of the total.
    __device__ u32 token_at(double share, Parts& parts) const
    {
        const u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        double target = -1.0;
        if (threadIdx.x == 0) parts.from = 0, parts.count = vocab, parts.before = 0.0;
        __syncthreads();
        // Each warp sums a part. The part in which the target lies is divided further. If few tokens are left, each is
        // a part.
        do {
            const u32 from = parts.from, count = parts.count;
            const bool is_few = count <= THREADS;
            const u32 part = is_few ? 1 : (count + WARPS - 1) / WARPS;
            double sum = 0.0;
            if (is_few) {
                if (threadIdx.x < count) sum = weight(logits[from + threadIdx.x]);
            } else {
                const u32 end = min(part * (warp + 1), count);
                each_logit(logits + from, part * warp + lane, end, 32, [&](float logit, u32) { sum += weight(logit); });
                sum = join_warp(sum, Sum());
            }
            if (is_few) parts.weights[threadIdx.x] = sum;
            else if (lane == 0) parts.weights[warp] = sum;
            __syncthreads();
            if (threadIdx.x == 0) target = parts.narrow(is_few ? count : WARPS, part, target, share);
            __syncthreads();
        } while (parts.count > 1);
        return parts.from;
    }
};

KERNEL(sample, Sample)
{
    __shared__ Sorted sorted;
    __shared__ Parts parts;
    const u32 vocab = p.vocab;
    const float* logits = reinterpret_cast<const float*>(p.logits) + reinterpret_cast<const u32*>(p.index)[blockIdx.x] * p.vocab;
    const Draw draw = reinterpret_cast<const Draw*>(p.draws)[blockIdx.x];
    u64 best = 0;
    u32 has_nan = 0;
    each_logit(logits, threadIdx.x, vocab, THREADS, [&](float logit, u32 id) {
        best = Larger()(best, ranked_for_argmax(logit, id));
        has_nan |= logit != logit;
    });
    best = join_block(best, (u64)0, Larger());
    has_nan = join_block(has_nan, 0u, Larger());

    u32 token = id_of(best);
    if (has_nan) {
        token = 0xffffffffu;
    } else if (draw.temperature > 0.0f) {
        const Row row = {logits, vocab, logits[token], draw.temperature};
        if (draw.top_k >= vocab && draw.top_p >= 1.0f && draw.min_p <= 0.0f) {
            token = row.token_at(draw.share, parts);
        } else {
            Some kept = row.survey(0, ~(u64)0, LEAST_EXPONENT);
            if (draw.top_k < kept.count) kept = row.search(kept, {Enough::COUNT, (double)draw.top_k}, sorted);
            if (draw.top_p < 1.0f) kept = row.search(kept, {Enough::REACH, draw.top_p * kept.weight}, sorted);
            if (draw.min_p > 0.0f) kept = row.survey(kept.least, ~(u64)0, log((double)draw.min_p));
            token = id_of(row.search(kept, {Enough::EXCEED, draw.share * kept.weight}, sorted).least);
        }
    }
    if (threadIdx.x == 0) reinterpret_cast<u32*>(p.out)[blockIdx.x] = token;
}
