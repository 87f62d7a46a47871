//! Sampling: from a row of logits to a token.
//!
//! ```text
//! row ─► logit bias ─► repetition ─► frequency, presence ─► tokens that may not be chosen yet
//!        └──────────── processors, on a copy, only if the request has any ──────────────────┘
//!     ─► temperature ─► top-k ─► top-p ─► min-p ─► one draw
//!        (0: argmax)    (a scan) (a bisection of what is left)
//! ```
//!
//! The steps have the order of transformers (`_get_logits_processor`), where logit bias is called sequence bias.
//! Transformers has no frequency and presence penalty. These come after the repetition penalty, as in vLLM. The order
//! of vLLM differs in two places. It rules tokens out first, which leaves the same tokens. It applies min-p before
//! top-k and top-p, which leaves other tokens if top-p is set too.
//!
//! The vocabulary is never sorted, because its size would then determine the time of every sampled token.
//!
//! Start at [`Sampling`] and [`Sampler`]. [`LogitsRow`] is the distribution of a row as the model computed it, before
//! any of these steps.

mod argmax;
mod logits_processors;
mod logits_row;
#[cfg(test)]
pub(crate) mod parity_tests;
mod sampler;
mod selection;
#[cfg(test)]
mod tests;

pub(crate) use argmax::argmax;
pub use logits_row::{LogitsRow, TokenLogit};
pub(crate) use sampler::Sampler;

use crate::{Error, Result};
use std::sync::Arc;

/// The options by which the next token is chosen. They are applied in the order of the module's picture.
///
/// ```
/// use llem_engine::Sampling;
///
/// let sampling = Sampling { temperature: 0.8, top_p: Some(0.95), ..Sampling::default() };
/// assert!(sampling.check(32_000).is_ok());
/// assert!(!sampling.is_plain_greedy());
/// assert!(Sampling::default().is_plain_greedy());
///
/// let refused = Sampling { top_p: Some(1.5), ..sampling }.check(32_000).unwrap_err();
/// assert_eq!(refused.to_string(), "top-p 1.5 must be above 0 and at most 1");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// The divisor of the logits. 0 means greedy: the most likely token after bias and penalties is chosen.
    pub temperature: f32,
    /// Keeps only the k most likely tokens. Of equal logits, the ones with lower ids are kept.
    pub top_k: Option<usize>,
    /// Keeps the smallest set of most likely tokens whose probability reaches this value, in (0, 1].
    pub top_p: Option<f32>,
    /// Keeps the tokens that are at least this share as likely as the most likely token, in [0, 1] (Nguyen et al.,
    /// arXiv 2407.01082).
    pub min_p: Option<f32>,
    /// Divides positive logits, and multiplies negative logits, of tokens that the prompt or the output has. Above 0;
    /// 1 changes nothing (CTRL, arXiv 1909.05858).
    pub repetition_penalty: f32,
    /// Lowers the logit of a token by this value for each time that it was generated, in [-2, 2] as in OpenAI's API
    /// and vLLM.
    pub frequency_penalty: f32,
    /// Lowers the logit of a token by this value if it was generated, in [-2, 2] as in OpenAI's API and vLLM.
    pub presence_penalty: f32,
    /// Adds to the logits of tokens. If a token is listed twice, both values are added. Minus infinity rules the
    /// token out.
    pub logit_bias: Arc<[(u32, f32)]>,
    /// The seed of the random numbers. Together with the stream it determines the draws of a sequence.
    pub seed: u64,
    /// The first stream of random numbers. Sequence `i` of a request draws from the stream `first_stream + i`, so
    /// that requests with different streams draw different numbers.
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
    /// Returns true if the most likely token of the model is always chosen.
    pub fn is_plain_greedy(&self) -> bool {
        self.temperature == 0.0 && self.leaves_logits()
    }

    /// Returns true if no bias and no penalty changes the logits.
    fn leaves_logits(&self) -> bool {
        self.repetition_penalty == 1.0
            && self.frequency_penalty == 0.0
            && self.presence_penalty == 0.0
            && self.logit_bias.is_empty()
    }

    /// Checks that each option is in its range, for a model with `vocab` tokens.
    ///
    /// # Errors
    /// Returns [`Error::Invalid`] with the name of the option that is out of range.
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

/// Returns the error for a logit, or a sum of logits, that is not a number.
pub(crate) fn not_a_number() -> Error {
    Error::NotANumber(
        "the model computed a logit that is not a number: its weights hold NaN or overflow this \
         number format; try --dtype f32"
            .to_owned(),
    )
}
