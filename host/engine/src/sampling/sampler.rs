//! The sampler of one sequence.

use super::{
    Sampling, argmax,
    logits_processors::LogitsProcessors,
    selection::{RankedToken, SORTED, SoftmaxWeights, count_until, find_most_likely},
};
use crate::Result;
use llem_compute::ops::sampling::Draw;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Chooses the tokens of one sequence: its options, its penalties and its own stream of random numbers.
pub(crate) struct Sampler {
    options: Sampling,
    random: ChaCha8Rng,
    processors: LogitsProcessors,
}

/// The numbers of most likely tokens that top-p tries before it takes all. For most models' distributions they are
/// enough.
const FIRST_TRIES: [usize; 2] = [64, 1024];

impl Sampler {
    /// Makes the sampler of sequence `index` of a request. `prompt` is the sequence's prompt.
    pub(crate) fn new(options: &Sampling, index: usize, prompt: &[u32]) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        random.set_stream(options.first_stream.wrapping_add(index as u64));
        let processors = LogitsProcessors::new(options, prompt);
        Self { options: options.clone(), random, processors }
    }

    /// Returns true if no bias and no penalty changes the logits.
    pub(crate) fn leaves_logits(&self) -> bool {
        self.options.leaves_logits()
    }

    /// Returns what a device needs to choose the next token as [`Self::choose`] does. Only a sampler that leaves the
    /// logits unchanged may choose on a device. `vocab` is the number of tokens.
    pub(crate) fn draw(&mut self, vocab: usize) -> Draw {
        let Self { options, random, .. } = self;
        let is_drawn = options.temperature > 0.0;
        Draw {
            share: if is_drawn { random.random() } else { 0.0 },
            temperature: options.temperature,
            top_k: options.top_k.map_or(vocab, |k| k.min(vocab)) as u32,
            top_p: options.top_p.unwrap_or(1.0),
            min_p: options.min_p.unwrap_or(0.0),
        }
    }

    /// Chooses a token from one row of logits. A `forbidden` token is chosen only if no other token is possible.
    ///
    /// # Errors
    /// Returns [`Error::NotANumber`](crate::Error::NotANumber) if a logit is NaN.
    pub(crate) fn choose(&mut self, row: &[f32], forbidden: &[&[u32]]) -> Result<u32> {
        let Self { options, random, processors } = self;
        let token = choose(options, random, processors.apply(row, forbidden))?;
        processors.record(token);
        Ok(token)
    }
}

/// Chooses a token from a row to which bias and penalties have been applied.
fn choose(options: &Sampling, random: &mut ChaCha8Rng, row: &[f32]) -> Result<u32> {
    let most = argmax(row)?;
    if options.temperature == 0.0 {
        return Ok(most);
    }
    let weights = SoftmaxWeights { top: row[most as usize], temperature: options.temperature };
    let share = random.random::<f64>();
    Ok(match filter_tokens(options, weights, row) {
        None => weights.token_at(row, share),
        Some(tokens) => draw(tokens, weights, share),
    })
}

/// Returns the tokens that top-k, top-p and min-p leave, or `None` if they leave all tokens.
pub(super) fn filter_tokens(
    options: &Sampling,
    weights: SoftmaxWeights,
    row: &[f32],
) -> Option<Vec<RankedToken>> {
    let of_counts = filter_by_counts(options, weights, row);
    let Some(p) = options.min_p.filter(|&p| p > 0.0) else { return of_counts };
    let least = f64::from(p).ln();
    let is_kept = |logit| weights.exponent(logit) >= least;
    Some(match of_counts {
        Some(mut tokens) => {
            tokens.retain(|token| is_kept(token.logit()));
            tokens
        }
        None => {
            let all = (0..).zip(row).filter(|&(_, &logit)| is_kept(logit));
            all.map(|(id, &logit)| RankedToken::new(id, logit)).collect()
        }
    })
}

/// Returns the tokens that top-k and top-p leave, or `None` if they leave all tokens.
fn filter_by_counts(
    options: &Sampling,
    weights: SoftmaxWeights,
    row: &[f32],
) -> Option<Vec<RankedToken>> {
    let p = options.top_p.map(f64::from).filter(|&p| p < 1.0);
    let top_k = options.top_k.filter(|&k| k < row.len());
    let Some(p) = p else { return Some(find_most_likely(row, top_k?)) };
    if let Some(k) = top_k {
        let tokens = find_most_likely(row, k);
        let enough = p * weights.sum(&tokens);
        return Some(truncate_to_weight(tokens, FIRST_TRIES[0], weights, enough));
    }
    let enough = p * weights.block_sums(row).iter().sum::<f64>();
    for count in FIRST_TRIES.into_iter().filter(|&count| count < row.len()) {
        let tokens = find_most_likely(row, count);
        if weights.sum(&tokens) >= enough {
            return Some(truncate_to_weight(tokens, FIRST_TRIES[0], weights, enough));
        }
    }
    let all = (0..).zip(row).map(|(id, &logit)| RankedToken::new(id, logit)).collect();
    // So many tokens were not enough, so the probability is spread over many.
    Some(truncate_to_weight(all, 8 * FIRST_TRIES[1], weights, enough))
}

/// Keeps the fewest most likely tokens whose weights add up to `enough`, and at least one. `part` is the number of
/// tokens that is tried first.
fn truncate_to_weight(
    mut tokens: Vec<RankedToken>,
    part: usize,
    weights: SoftmaxWeights,
    enough: f64,
) -> Vec<RankedToken> {
    let count = count_until(&mut tokens, part, weights, |sum| sum >= enough);
    tokens.truncate(count.max(1));
    tokens
}

/// Draws a token: the first one, in descending order, up to which the weights exceed the `share` of the total, in [0,
/// 1).
fn draw(mut tokens: Vec<RankedToken>, weights: SoftmaxWeights, share: f64) -> u32 {
    if tokens.len() <= SORTED {
        tokens.sort_unstable_by(|a, b| b.cmp(a));
    }
    let target = share * weights.sum(&tokens);
    let count = count_until(&mut tokens, usize::MAX, weights, |sum| sum > target);
    // Rounding may leave the sum of all weights at the target. Then the last possible token is drawn.
    let possible = tokens[..count].iter().rev().find(|token| weights.weight(token.logit()) > 0.0);
    possible.unwrap_or(&tokens[0]).id()
}
