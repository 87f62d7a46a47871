//! From logits to a token.

use crate::{Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How the next token is chosen. The order is transformers': repetition penalty, temperature,
/// top-k, top-p, then one draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Logits are divided by this; 0 means greedy.
    pub temperature: f32,
    /// Only the k most likely tokens are kept.
    pub top_k: Option<usize>,
    /// The smallest set whose probability reaches this is kept; in (0, 1].
    pub top_p: Option<f32>,
    /// Logits of tokens already present are divided (if positive) or multiplied (if negative).
    pub repetition_penalty: f32,
    /// Sequence i of a batch draws from stream i of this seed.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_k: None, top_p: None, repetition_penalty: 1.0, seed: 0 }
    }
}

impl Sampling {
    /// Whether the most likely token is always taken as the model gives it.
    pub fn is_plain_greedy(&self) -> bool {
        self.temperature == 0.0 && self.repetition_penalty == 1.0
    }

    /// Refuses what is out of range, naming the field.
    pub fn check(&self) -> Result<()> {
        let refuse = |message: String| Err(Error::Invalid(message));
        if !(self.temperature >= 0.0 && self.temperature.is_finite()) {
            return refuse(format!("temperature {} must be 0 or more", self.temperature));
        }
        if self.top_k == Some(0) {
            return refuse("top-k must be at least 1".to_owned());
        }
        if let Some(p) = self.top_p.filter(|&p| !(p > 0.0 && p <= 1.0)) {
            return refuse(format!("top-p {p} must be above 0 and at most 1"));
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return refuse(format!(
                "repetition-penalty {} must be above 0",
                self.repetition_penalty
            ));
        }
        Ok(())
    }
}

/// One sequence's sampler: options and its own stream of random numbers.
pub struct Sampler {
    options: Sampling,
    random: ChaCha8Rng,
    /// Tokens already present, each once.
    seen: Vec<u32>,
}

impl Sampler {
    /// A sampler for sequence `index` of a batch that starts with `prompt`.
    pub fn new(options: &Sampling, index: usize, prompt: &[u32]) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        random.set_stream(index as u64);
        let mut sampler = Self { options: options.clone(), random, seen: Vec::new() };
        prompt.iter().for_each(|&token| sampler.note(token));
        sampler
    }

    /// Chooses from one row of logits, which it may change.
    pub fn choose(&mut self, logits: &mut [f32]) -> Result<u32> {
        let penalty = self.options.repetition_penalty;
        for &token in &self.seen {
            if let Some(logit) = logits.get_mut(token as usize) {
                *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
            }
        }
        let token =
            if self.options.temperature == 0.0 { argmax(logits)? } else { self.draw(logits)? };
        self.note(token);
        Ok(token)
    }

    fn note(&mut self, token: u32) {
        if self.options.repetition_penalty != 1.0 && !self.seen.contains(&token) {
            self.seen.push(token);
        }
    }

    fn draw(&mut self, logits: &[f32]) -> Result<u32> {
        let top = logits[argmax(logits)? as usize];
        // Most likely first; equal logits by id, so that a draw is the same on every machine.
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b)));
        order.truncate(self.options.top_k.unwrap_or(order.len()));
        let weight =
            |token: u32| f64::from((logits[token as usize] - top) / self.options.temperature).exp();
        let mut weights: Vec<f64> = order.iter().map(|&token| weight(token)).collect();
        if let Some(p) = self.options.top_p {
            let enough = f64::from(p) * weights.iter().sum::<f64>();
            let mut reached = 0.0;
            let kept = weights.iter().take_while(|&&w| {
                let keep = reached < enough;
                reached += w;
                keep
            });
            let kept = kept.count().max(1);
            weights.truncate(kept);
        }
        let mut left = self.random.random::<f64>() * weights.iter().sum::<f64>();
        for (&token, weight) in order.iter().zip(&weights) {
            left -= weight;
            if left < 0.0 {
                return Ok(token);
            }
        }
        Ok(order[weights.len() - 1])
    }
}

/// The first of the largest, as torch's argmax on a CPU gives it. Not-a-number is an error: it means
/// broken weights or an overflow of the number format, and every token after it would be invented.
pub fn argmax(logits: &[f32]) -> Result<u32> {
    /// Looked at together, so that the compiler uses vectors; only a block with a new best is
    /// looked at twice.
    const BLOCK: usize = 64;
    let mut best = (0, f32::NEG_INFINITY);
    let mut nan = [0u32; 16];
    for (block, numbers) in logits.chunks(BLOCK).enumerate() {
        let mut most = [f32::NEG_INFINITY; 16];
        for lanes in numbers.chunks(16) {
            for ((most, nan), &logit) in most.iter_mut().zip(&mut nan).zip(lanes) {
                *most = if logit > *most { logit } else { *most };
                *nan |= u32::from(logit.is_nan());
            }
        }
        if most.iter().any(|&most| most > best.1) {
            for (index, &logit) in numbers.iter().enumerate() {
                if logit > best.1 {
                    best = (block * BLOCK + index, logit);
                }
            }
        }
    }
    if nan != [0; 16] {
        return Err(not_a_number());
    }
    Ok(best.0 as u32)
}

/// What is said where a logit, or a sum of logits, is not a number.
pub fn not_a_number() -> Error {
    Error::NotANumber(
        "the model computed a logit that is not a number: its weights hold NaN or overflow this \
         number format; try --dtype f32"
            .to_owned(),
    )
}
