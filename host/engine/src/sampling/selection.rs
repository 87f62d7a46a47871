//! The most likely tokens of a row, found without sorting it.

use crate::cpu::parallel::share;
use std::sync::atomic::{AtomicU64, Ordering};

/// A token with its logit as one number: the larger, the more likely, and of equal logits the lower id
/// is the larger, so that a choice is the same on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ranked(u64);

impl Ranked {
    /// Token `id` with its logit. Logits are ordered as by [`f32::total_cmp`].
    pub fn new(id: u32, logit: f32) -> Self {
        let bits = logit.to_bits();
        // Negative numbers grow as their bits fall.
        let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
        Self(u64::from(ordered) << 32 | u64::from(!id))
    }

    /// The token.
    pub fn id(self) -> u32 {
        !(self.0 as u32)
    }

    /// Its logit.
    pub fn logit(self) -> f32 {
        let ordered = (self.0 >> 32) as u32;
        f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered })
    }
}

/// Probabilities of a row at a temperature, up to a common factor.
#[derive(Clone, Copy)]
pub struct Weights {
    /// The largest logit.
    pub top: f32,
    /// By which logits are divided.
    pub temperature: f32,
}

/// Logits whose weights are summed by one thread. The same on every machine, so that sums are too.
const BLOCK: usize = 4096;

impl Weights {
    /// The logarithm of a logit's weight: 0 for the largest, infinite ones included.
    pub fn exponent(self, logit: f32) -> f64 {
        if logit == self.top {
            return 0.0;
        }
        f64::from((logit - self.top) / self.temperature)
    }

    /// The weight of a logit: 1 for the largest, infinite ones included.
    pub fn of(self, logit: f32) -> f64 {
        self.exponent(logit).exp()
    }

    /// The weights of some tokens together.
    pub fn sum(self, tokens: &[Ranked]) -> f64 {
        tokens.iter().map(|token| self.of(token.logit())).sum()
    }

    /// The weights of each block of a row together. The threads share the blocks.
    pub fn of_blocks(self, row: &[f32]) -> Vec<f64> {
        block_sums(row, |logit| self.of(logit))
    }

    /// The token of a row, by ids, at which the weights so far exceed a share of all in [0, 1).
    pub fn token_at(self, row: &[f32], share: f64) -> u32 {
        let sums = self.of_blocks(row);
        let target = share * sums.iter().sum::<f64>();
        let (mut before, mut last) = (0.0, 0);
        for (block, sum) in sums.into_iter().enumerate() {
            if before + sum > target {
                let first = block * BLOCK;
                let mut within = 0.0;
                for (id, &logit) in row.iter().enumerate().skip(first).take(BLOCK) {
                    let weight = self.of(logit);
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

/// The sums of a function of the logits, over each block of a row. The threads share the blocks.
pub fn block_sums(row: &[f32], of: impl Fn(f32) -> f64 + Sync) -> Vec<f64> {
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

/// The `count` most likely tokens of a row without NaN, in no particular order.
pub fn most_likely(row: &[f32], count: usize) -> Vec<Ranked> {
    /// Looked at together, so that the compiler uses vectors.
    const BLOCK: usize = 64;
    /// Cutting fewer candidates than this is not worth the call.
    const FEWEST: usize = 256;
    let count = count.min(row.len());
    let room = (2 * count).max(FEWEST);
    let mut kept: Vec<Ranked> = Vec::with_capacity(room.min(row.len()) + BLOCK);
    // No token below this can be among them any more.
    let mut least = f32::NEG_INFINITY;
    for (block, logits) in row.chunks(BLOCK).enumerate() {
        if !logits.iter().fold(false, |any, &logit| any | (logit >= least)) {
            continue;
        }
        for (index, &logit) in logits.iter().enumerate() {
            if logit >= least {
                kept.push(Ranked::new((block * BLOCK + index) as u32, logit));
            }
        }
        if kept.len() >= room {
            least = cut(&mut kept, count);
        }
    }
    cut(&mut kept, count);
    kept
}

/// Leaves the `count` most likely, and returns the least of their logits.
fn cut(tokens: &mut Vec<Ranked>, count: usize) -> f32 {
    if count == 0 || tokens.len() <= count {
        tokens.truncate(count);
        return f32::NEG_INFINITY;
    }
    let (_, least, _) = tokens.select_nth_unstable_by(count - 1, |a, b| b.cmp(a));
    let least = least.logit();
    tokens.truncate(count);
    least
}

/// Tokens that are sorted rather than divided further.
pub const SORTED: usize = 256;

/// How many of the most likely tokens it takes until `is_enough` of their weights together; all of them
/// if it never is. They are first afterwards, the last of them at the end.
///
/// Parts of which the sum decides nothing are only divided from the rest, never sorted. They grow from
/// `part` tokens on, or are halves where that is less: as most of a model's probability is in few tokens,
/// it may be small.
pub fn count_until(
    tokens: &mut [Ranked],
    mut part: usize,
    weights: Weights,
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
        reached += weights.of(token.logit());
        if is_enough(reached) {
            return start + index + 1;
        }
    }
    end
}
