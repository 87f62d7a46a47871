//! What one sequence draws its tokens with.

use super::{
    Sampling, argmax,
    processors::Processors,
    selection::{Ranked, SORTED, Weights, count_until, most_likely},
};
use crate::Result;
use llem_compute::ops::sampling::Draw;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One sequence's sampler: options and its own stream of random numbers.
pub struct Sampler {
    options: Sampling,
    random: ChaCha8Rng,
    processors: Processors,
}

/// Tokens that are tried for top-p before all are: with most models' distributions they suffice.
const FIRST_TRIES: [usize; 2] = [64, 1024];

impl Sampler {
    /// A sampler for sequence `index` of a request that starts with `prompt`.
    pub fn new(options: &Sampling, index: usize, prompt: &[u32]) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        random.set_stream(options.first_stream.wrapping_add(index as u64));
        let processors = Processors::new(options, prompt);
        Self { options: options.clone(), random, processors }
    }

    /// Whether it chooses by the logits as the model gives them.
    pub fn leaves_logits(&self) -> bool {
        self.options.leaves_logits()
    }

    /// What a device needs to choose the next of `vocab` tokens as [`Self::choose`] does, by logits that are left as they are.
    pub fn draw(&mut self, vocab: usize) -> Draw {
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

    /// Chooses from one row of logits, but none of the `forbidden` tokens as long as any other is possible.
    pub fn choose(&mut self, row: &[f32], forbidden: &[&[u32]]) -> Result<u32> {
        let Self { options, random, processors } = self;
        let token = choose(options, random, processors.apply(row, forbidden))?;
        processors.note(token);
        Ok(token)
    }
}

/// Chooses from a row of logits that has been changed as the options ask.
fn choose(options: &Sampling, random: &mut ChaCha8Rng, row: &[f32]) -> Result<u32> {
    let most = argmax(row)?;
    if options.temperature == 0.0 {
        return Ok(most);
    }
    let weights = Weights { top: row[most as usize], temperature: options.temperature };
    let share = random.random::<f64>();
    Ok(match kept(options, weights, row) {
        None => weights.token_at(row, share),
        Some(tokens) => draw(tokens, weights, share),
    })
}

/// What top-k, top-p and min-p leave of a row; none means all of it.
pub(super) fn kept(options: &Sampling, weights: Weights, row: &[f32]) -> Option<Vec<Ranked>> {
    let of_counts = kept_by_counts(options, weights, row);
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
            all.map(|(id, &logit)| Ranked::new(id, logit)).collect()
        }
    })
}

/// What top-k and top-p leave of a row; none means all of it.
fn kept_by_counts(options: &Sampling, weights: Weights, row: &[f32]) -> Option<Vec<Ranked>> {
    let p = options.top_p.map(f64::from).filter(|&p| p < 1.0);
    let top_k = options.top_k.filter(|&k| k < row.len());
    let Some(p) = p else { return Some(most_likely(row, top_k?)) };
    if let Some(k) = top_k {
        let tokens = most_likely(row, k);
        let enough = p * weights.sum(&tokens);
        return Some(most_likely_of(tokens, FIRST_TRIES[0], weights, enough));
    }
    let enough = p * weights.of_blocks(row).iter().sum::<f64>();
    for count in FIRST_TRIES.into_iter().filter(|&count| count < row.len()) {
        let tokens = most_likely(row, count);
        if weights.sum(&tokens) >= enough {
            return Some(most_likely_of(tokens, FIRST_TRIES[0], weights, enough));
        }
    }
    let all = (0..).zip(row).map(|(id, &logit)| Ranked::new(id, logit)).collect();
    // So many were not enough, and the probability is spread.
    Some(most_likely_of(all, 8 * FIRST_TRIES[1], weights, enough))
}

/// The fewest of the most likely whose weights come to `enough`; at least one.
fn most_likely_of(
    mut tokens: Vec<Ranked>,
    part: usize,
    weights: Weights,
    enough: f64,
) -> Vec<Ranked> {
    let count = count_until(&mut tokens, part, weights, |sum| sum >= enough);
    tokens.truncate(count.max(1));
    tokens
}

/// The token at which the weights so far, the most likely first, exceed a share of all in [0, 1).
fn draw(mut tokens: Vec<Ranked>, weights: Weights, share: f64) -> u32 {
    if tokens.len() <= SORTED {
        tokens.sort_unstable_by(|a, b| b.cmp(a));
    }
    let target = share * weights.sum(&tokens);
    let count = count_until(&mut tokens, usize::MAX, weights, |sum| sum > target);
    // Rounding may leave the sum of all at the target: then it is the last that can be drawn at all.
    let possible = tokens[..count].iter().rev().find(|token| weights.of(token.logit()) > 0.0);
    possible.unwrap_or(&tokens[0]).id()
}
