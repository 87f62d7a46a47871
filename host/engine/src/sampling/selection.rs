//! Finding the most likely tokens of a row without sorting the row.

use crate::cpu::threads::share;
use std::sync::atomic::{AtomicU64, Ordering};

/// A token and its logit in one number, which is larger the more likely the token is. Of equal logits, the lower id
/// has the larger number, so that a choice is the same on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RankedToken(u64);

impl RankedToken {
    /// Ranks the token `id` by its logit. Logits are ordered as by [`f32::total_cmp`].
    pub(super) fn new(id: u32, logit: f32) -> Self {
        let bits = logit.to_bits();
        // The bits of negative numbers fall as the numbers grow.
        let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
        Self(u64::from(ordered) << 32 | u64::from(!id))
    }

    /// Returns the id of the token.
    pub(super) fn id(self) -> u32 {
        !(self.0 as u32)
    }

    /// Returns the logit of the token.
    pub(super) fn logit(self) -> f32 {
        let ordered = (self.0 >> 32) as u32;
        f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered })
    }
}

/// The probabilities of a row at a temperature, up to a common factor.
#[derive(Clone, Copy)]
pub(super) struct SoftmaxWeights {
    /// The largest logit.
    pub top: f32,
    /// The divisor of the logits.
    pub temperature: f32,
}

/// The logits whose weights one thread sums. It is the same on every machine, so that the sums are too.
const BLOCK: usize = 4096;

impl SoftmaxWeights {
    /// Returns the logarithm of a logit's weight: 0 for the largest logit, even if it is infinite.
    pub(super) fn exponent(self, logit: f32) -> f64 {
        if logit == self.top {
            return 0.0;
        }
        f64::from((logit - self.top) / self.temperature)
    }

    /// Returns the weight of a logit: 1 for the largest logit, even if it is infinite.
    pub(super) fn weight(self, logit: f32) -> f64 {
        self.exponent(logit).exp()
    }

    /// Sums the weights of some tokens.
    pub(super) fn sum(self, tokens: &[RankedToken]) -> f64 {
        tokens.iter().map(|token| self.weight(token.logit())).sum()
    }

    /// Sums the weights of each block of a row. The threads share the blocks.
    pub(super) fn block_sums(self, row: &[f32]) -> Vec<f64> {
        block_sums(row, |logit| self.weight(logit))
    }

    /// Returns the first token, in order of ids, up to which the weights exceed the `share` of the total, in [0, 1).
    pub(super) fn token_at(self, row: &[f32], share: f64) -> u32 {
        let sums = self.block_sums(row);
        let target = share * sums.iter().sum::<f64>();
        let (mut before, mut last) = (0.0, 0);
        for (block, sum) in sums.into_iter().enumerate() {
            if before + sum > target {
                let first = block * BLOCK;
                let mut within = 0.0;
                for (id, &logit) in row.iter().enumerate().skip(first).take(BLOCK) {
                    let weight = self.weight(logit);
                    within += weight;
                    if weight > 0.0 {
                        last = id;
                        if before + within > target {
                            break;
                        }
                    }
                }
                break;
            }
            before += sum;
        }
        last as u32
    }
}

/// Sums a function of the logits over each block of a row. The threads share the blocks.
pub(super) fn block_sums(row: &[f32], of: impl Fn(f32) -> f64 + Sync) -> Vec<f64> {
    let sums: Vec<AtomicU64> = row.chunks(BLOCK).map(|_| AtomicU64::new(0)).collect();
    share(row.len(), sums.len(), |range| {
        for block in range {
            let logits = &row[block * BLOCK..row.len().min((block + 1) * BLOCK)];
            let sum: f64 = logits.iter().map(|&logit| of(logit)).sum();
            sums[block].store(sum.to_bits(), Ordering::Relaxed);
        }
    });
    sums.into_iter().map(|sum| f64::from_bits(sum.into_inner())).collect()
}

/// Finds the `count` most likely tokens of a row, in no particular order. The row must not have NaN.
pub(super) fn find_most_likely(row: &[f32], count: usize) -> Vec<RankedToken> {
    /// The logits that are compared together, so that the compiler uses vectors.
    const BLOCK: usize = 64;
    /// The fewest candidates for which the list is cut. For fewer the call costs more than it saves.
    const FEWEST: usize = 256;
    let count = count.min(row.len());
    let room = (2 * count).max(FEWEST);
    let mut kept: Vec<RankedToken> = Vec::with_capacity(room.min(row.len()) + BLOCK);
    // A token below this logit cannot be among the most likely any more.
    let mut least = f32::NEG_INFINITY;
    for (block, logits) in row.chunks(BLOCK).enumerate() {
        if !logits.iter().fold(false, |any, &logit| any | (logit >= least)) {
            continue;
        }
        for (index, &logit) in logits.iter().enumerate() {
            if logit >= least {
                kept.push(RankedToken::new((block * BLOCK + index) as u32, logit));
            }
        }
        if kept.len() >= room {
            least = truncate_to(&mut kept, count);
        }
    }
    truncate_to(&mut kept, count);
    kept
}

/// Keeps the `count` most likely tokens, and returns the smallest of their logits.
fn truncate_to(tokens: &mut Vec<RankedToken>, count: usize) -> f32 {
    if count == 0 || tokens.len() <= count {
        tokens.truncate(count);
        return f32::NEG_INFINITY;
    }
    let (_, least, _) = tokens.select_nth_unstable_by(count - 1, |a, b| b.cmp(a));
    let least = least.logit();
    tokens.truncate(count);
    least
}

/// The number of tokens up to which a list is sorted instead of being partitioned further.
pub(super) const SORTED: usize = 256;

/// Returns the number of most likely tokens whose summed weight `is_enough`, or the number of all tokens if it never
/// is. Afterwards these tokens are first in the slice, and the last of them is at the end.
///
/// Most tokens are only partitioned and never sorted. The first partition has `part` tokens, and each following one
/// eight times as many, but at most half of the rest. `part` may be small, because most of a model's probability is
/// in few tokens.
pub(super) fn count_until(
    tokens: &mut [RankedToken],
    mut part: usize,
    weights: SoftmaxWeights,
    is_enough: impl Fn(f64) -> bool,
) -> usize {
    let (mut start, mut end, mut reached) = (0, tokens.len(), 0.0);
    while end - start > SORTED {
        let middle = part.min((end - start) / 2);
        part = part.saturating_mul(8);
        tokens[start..end].select_nth_unstable_by(middle, |a, b| b.cmp(a));
        let sum = reached + weights.sum(&tokens[start..start + middle]);
        if is_enough(sum) {
            end = start + middle;
        } else {
            (start, reached) = (start + middle, sum);
        }
    }
    tokens[start..end].sort_unstable_by(|a, b| b.cmp(a));
    for (index, token) in tokens[start..end].iter().enumerate() {
        reached += weights.weight(token.logit());
        if is_enough(reached) {
            return start + index + 1;
        }
    }
    end
}
