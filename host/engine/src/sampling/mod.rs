//! From logits to a token.
//!
//! ```text
//! row ─► logit bias ─► repetition ─► frequency, presence ─► tokens that may not be chosen yet
//!        └──────────── penalties, on a copy, only where the request has any ────────────────┘
//!     ─► temperature ─► top-k ─► top-p ─► min-p ─► one draw
//!        (0: argmax)    (a scan) (a bisection of what is left)
//! ```
//!
//! The order is transformers' (`_get_logits_processor`), in which logit bias is called sequence bias. It has no frequency
//! and presence penalty: these come after the repetition penalty as in vLLM. vLLM's order differs in two places: it
//! rules tokens out first, which leaves the same tokens, and it applies min-p before top-k and top-p, which leaves
//! others if top-p is there too.
//!
//! Nothing sorts the vocabulary: its size would set the time of every sampled token.
//!
//! [`LogitsRow`] is what a row says as the model computed it, before all of this.

mod argmax;
mod logits_row;
#[cfg(test)]
pub(crate) mod parity_tests;
mod processors;
mod sampler;
mod selection;
#[cfg(test)]
mod tests;

pub use argmax::argmax;
pub use logits_row::{LogitsRow, TokenLogit};
pub use sampler::Sampler;

use crate::{Error, Result};
use std::sync::Arc;

/// How the next token is chosen, in the module's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Logits are divided by this; 0 means greedy: the most likely token, after bias and penalties.
    pub temperature: f32,
    /// Only the k most likely tokens are kept; of equal logits, those with the lower ids.
    pub top_k: Option<usize>,
    /// The smallest set whose probability reaches this is kept; in (0, 1].
    pub top_p: Option<f32>,
    /// Tokens are kept that are at least this share as likely as the most likely one; in [0, 1] (Nguyen et al.,
    /// arXiv 2407.01082).
    pub min_p: Option<f32>,
    /// Logits of tokens already present, in prompt or output, are divided (if positive) or multiplied (if negative);
    /// above 0, and 1 changes nothing (CTRL, arXiv 1909.05858).
    pub repetition_penalty: f32,
    /// Logits are lowered by this for each time that the token was generated; in [-2, 2], as OpenAI and vLLM have it.
    pub frequency_penalty: f32,
    /// Logits of tokens that were generated are lowered by this; in [-2, 2], as OpenAI and vLLM have it.
    pub presence_penalty: f32,
    /// What is added to the logits of tokens; of a token that is listed twice, both. Minus infinity rules a token out.
    pub logit_bias: Arc<[(u32, f32)]>,
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
            min_p: None,
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            logit_bias: Arc::default(),
            seed: 0,
            first_stream: 0,
        }
    }
}

impl Sampling {
    /// Whether the most likely token is always taken as the model gives it.
    pub fn is_plain_greedy(&self) -> bool {
        self.temperature == 0.0 && self.leaves_logits()
    }

    /// Whether it chooses by the logits as the model gives them.
    fn leaves_logits(&self) -> bool {
        self.repetition_penalty == 1.0
            && self.frequency_penalty == 0.0
            && self.presence_penalty == 0.0
            && self.logit_bias.is_empty()
    }

    /// Refuses what is out of range, naming the field, for a model with `vocab` tokens.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn check(&self, vocab: usize) -> Result<()> {
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
        if let Some(p) = self.min_p.filter(|p| !(0.0..=1.0).contains(p)) {
            return refuse(format!("min-p {p} must be from 0 to 1"));
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return refuse(format!(
                "repetition-penalty {} must be above 0",
                self.repetition_penalty
            ));
        }
        for (name, penalty) in [
            ("frequency-penalty", self.frequency_penalty),
            ("presence-penalty", self.presence_penalty),
        ] {
            if !(-2.0..=2.0).contains(&penalty) {
                return refuse(format!("{name} {penalty} must be from -2 to 2"));
            }
        }
        for &(token, bias) in &*self.logit_bias {
            if token as usize >= vocab {
                return refuse(format!(
                    "logit-bias names token {token}, but the vocabulary ends at {}",
                    vocab - 1
                ));
            }
            if bias.is_nan() || bias == f32::INFINITY {
                return refuse(format!(
                    "logit-bias {bias} of token {token} must be a number, or minus infinity to rule it out"
                ));
            }
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
