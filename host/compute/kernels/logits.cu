// find: the most likely token of each row of logits, and the log-likelihood of a target. Launched by src/ops/logits.rs.
//
//   logits   f32 [.., vocab]
//   index    u32 [rows], or 0 for the first rows
//   targets  u32 [rows], or 0 for none
//   out      [rows] of Found
//
// Grid: a block for each row.
#include "ranked.h"

struct Find {
    u64 logits;
    u64 index;
    u64 targets;
    u64 out;
    u64 vocab;
};

struct Found {
    u32 token;
    u32 has_nan;
    double log_likelihood;
};

KERNEL(find, Find)
{
    const u32 row = p.index ? reinterpret_cast<const u32*>(p.index)[blockIdx.x] : blockIdx.x;
    const float* logits = reinterpret_cast<const float*>(p.logits) + row * p.vocab;
    const u32 vocab = p.vocab;
    u64 best = 0;
    u32 has_nan = 0;
    each_logit(logits, threadIdx.x, vocab, blockDim.x, [&](float logit, u32 id) {
        best = Larger()(best, ranked_for_argmax(logit, id));
        has_nan |= logit != logit;
    });
    best = join_block(best, (u64)0, Larger());
    has_nan = join_block(has_nan, 0u, Larger());
    Found& found = reinterpret_cast<Found*>(p.out)[blockIdx.x];
    if (!p.targets) {
        if (threadIdx.x == 0) found = {id_of(best), has_nan, 0.0};
        return;
    }

    // ln softmax in f64: x - top - ln sum exp(x - top). The row is read a second time, now from the cache.
    const double top = logit_of(best);
    double sum = 0.0;
    each_logit(logits, threadIdx.x, vocab, blockDim.x, [&](float logit, u32) { sum += exp(logit - top); });
    sum = join_block(sum, 0.0, Sum());
    if (threadIdx.x > 0) return;
    const u32 target = reinterpret_cast<const u32*>(p.targets)[blockIdx.x];
    // A NaN among the logits makes the sum NaN, and so the log-likelihood.
    found = {id_of(best), has_nan, logits[target] - top - log(sum)};
}
