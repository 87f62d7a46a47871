//! From logits to a token.
//!
//! ```text
//! row ─► repetition penalty ─► temperature ─► top-k ─► top-p ─► one draw
//!        (a copy, only here)                  (a scan) (a bisection of what is left)
//! ```
//!
//! Nothing sorts the vocabulary: its size would set the time of every sampled token.

mod argmax;
mod sampler;
mod selection;
#[cfg(test)]
mod tests;

pub use argmax::argmax;
pub use sampler::Sampler;

use crate::{Error, Result};

/// How the next token is chosen. The order is transformers': repetition penalty, temperature,
/// top-k, top-p, then one draw.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Logits are divided by this; 0 means greedy.
    pub temperature: f32,
    /// Only the k most likely tokens are kept; of equal logits, those with the lower ids.
    pub top_k: Option<usize>,
    /// The smallest set whose probability reaches this is kept; in (0, 1].
    pub top_p: Option<f32>,
    /// Logits of tokens already present are divided (if positive) or multiplied (if negative).
    pub repetition_penalty: f32,
    /// Decides, with the stream, the random numbers of a sequence.
    pub seed: u64,
    /// Sequence i of a request draws from stream `first_stream + i` of the seed, so that requests with
    /// streams of their own draw different numbers.
    pub first_stream: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: None,
            top_p: None,
            repetition_penalty: 1.0,
            seed: 0,
            first_stream: 0,
        }
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

/// What is said where a logit, or a sum of logits, is not a number.
pub fn not_a_number() -> Error {
    Error::NotANumber(
        "the model computed a logit that is not a number: its weights hold NaN or overflow this \
         number format; try --dtype f32"
            .to_owned(),
    )
}
