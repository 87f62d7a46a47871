//! What one sequence draws its tokens with.

use super::{
    Sampling, argmax,
    selection::{Ranked, SORTED, Weights, count_until, most_likely},
};
use crate::Result;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One sequence's sampler: options and its own stream of random numbers.
pub struct Sampler {
    options: Sampling,
    random: ChaCha8Rng,
    seen: Seen,
    /// The row with the penalty applied.
    penalised: Vec<f32>,
}

/// Tokens already present, each once.
#[derive(Default)]
struct Seen {
    ids: Vec<u32>,
    /// One bit a token of the vocabulary, as far as it has been met.
    bits: Vec<u64>,
}

impl Seen {
    fn note(&mut self, id: u32) {
        let (word, bit) = (id as usize / 64, 1 << (id % 64));
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        if self.bits[word] & bit == 0 {
            self.bits[word] |= bit;
            self.ids.push(id);
        }
    }
}

/// Tokens that are tried for top-p before all are: with most models' distributions they suffice.
const FIRST_TRIES: [usize; 2] = [64, 1024];

impl Sampler {
    /// A sampler for sequence `index` of a request that starts with `prompt`.
    pub fn new(options: &Sampling, index: usize, prompt: &[u32]) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        random.set_stream(options.first_stream.wrapping_add(index as u64));
        let (seen, penalised) = (Seen::default(), Vec::new());
        let mut sampler = Self { options: options.clone(), random, seen, penalised };
        prompt.iter().for_each(|&token| sampler.note(token));
        sampler
    }

    /// Chooses from one row of logits.
    pub fn choose(&mut self, row: &[f32]) -> Result<u32> {
        let mut copy = std::mem::take(&mut self.penalised);
        let token = self.choose_from(self.with_penalty(row, &mut copy))?;
        self.penalised = copy;
        self.note(token);
        Ok(token)
    }

    /// The row itself, or a copy with the logits of tokens already present changed.
    fn with_penalty<'a>(&self, row: &'a [f32], copy: &'a mut Vec<f32>) -> &'a [f32] {
        let penalty = self.options.repetition_penalty;
        if penalty == 1.0 || self.seen.ids.is_empty() {
            return row;
        }
        copy.clear();
        copy.extend_from_slice(row);
        for &id in &self.seen.ids {
            if let Some(logit) = copy.get_mut(id as usize) {
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
        copy
    }

    fn note(&mut self, token: u32) {
        if self.options.repetition_penalty != 1.0 {
            self.seen.note(token);
        }
    }

    fn choose_from(&mut self, row: &[f32]) -> Result<u32> {
        let most = argmax(row)?;
        if self.options.temperature == 0.0 {
            return Ok(most);
        }
        let weights = Weights { top: row[most as usize], temperature: self.options.temperature };
        let share = self.random.random::<f64>();
        Ok(match kept(&self.options, weights, row) {
            None => weights.token_at(row, share),
            Some(tokens) => draw(tokens, weights, share),
        })
    }
}

/// What top-k and top-p leave of a row; none means all of it.
pub(super) fn kept(options: &Sampling, weights: Weights, row: &[f32]) -> Option<Vec<Ranked>> {
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
