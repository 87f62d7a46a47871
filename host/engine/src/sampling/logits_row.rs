//! The distribution that one row of logits describes, in f64.

use super::{
    argmax,
    selection::{block_sums, find_most_likely},
};
use crate::{Error, Result};

/// The softmax distribution of a row of logits, `[vocab]`, before bias, penalties and temperature.
///
/// Infinite logits are treated as the limit in which they grow alike: the logits that are equal to the largest share
/// all of the probability. Therefore no probability is NaN.
///
/// ```
/// use llem_engine::LogitsRow;
///
/// // Probabilities 1/8, 2/8 and 5/8.
/// let logits = [1f32.ln(), 2f32.ln(), 5f32.ln()];
/// let row = LogitsRow::new(&logits)?;
/// let best = row.top(1)[0];
/// assert_eq!(best.token, 2);
/// assert!((best.log_probability.exp() - 0.625).abs() < 1e-6);
/// assert!((row.entropy() - 0.900).abs() < 1e-3);
/// # Ok::<(), llem_engine::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LogitsRow<'a> {
    row: &'a [f32],
    /// The largest logit.
    top: f32,
    /// `ln sum exp(logit - top)`, which is at least 0.
    log_sum: f64,
}

/// A token with its logit and its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenLogit {
    /// The id of the token.
    pub token: u32,
    /// The logit, as the model computed it.
    pub logit: f32,
    /// The natural logarithm of the probability.
    pub log_probability: f64,
}

impl<'a> LogitsRow<'a> {
    /// Reads a row.
    ///
    /// # Errors
    /// Returns [`Error::NotANumber`] if a logit is NaN, and [`Error::Invalid`] if the row is empty.
    pub fn new(row: &'a [f32]) -> Result<Self> {
        let most = argmax(row)?;
        let Some(&top) = row.get(most as usize) else {
            return Err(Error::Invalid("a row of logits has none".to_owned()));
        };
        let sums = block_sums(row, |logit| subtract_top(top, logit).exp());
        Ok(Self { row, top, log_sum: sums.iter().sum::<f64>().ln() })
    }

    /// Returns `ln sum exp(logit)`. It is infinite if the largest logit is.
    pub fn log_sum_exp(&self) -> f64 {
        f64::from(self.top) + self.log_sum
    }

    /// Returns the entropy of the distribution, `- sum p ln p`, in nats.
    pub fn entropy(&self) -> f64 {
        // With `x = logit - top` and `p = exp(x) / sum`, the entropy is `ln sum` less the mean of `x`. A token
        // without probability adds nothing.
        let sums = block_sums(self.row, |logit| match subtract_top(self.top, logit) {
            f64::NEG_INFINITY => 0.0,
            x => x * x.exp(),
        });
        self.log_sum - sums.iter().sum::<f64>() * (-self.log_sum).exp()
    }

    /// Returns the `count` most likely tokens, or all if there are fewer, the most likely first. Of equal logits,
    /// the ones with lower ids are first.
    pub fn top(&self, count: usize) -> Vec<TokenLogit> {
        let mut tokens = find_most_likely(self.row, count);
        tokens.sort_unstable_by(|a, b| b.cmp(a));
        tokens.into_iter().map(|token| self.describe(token.id(), token.logit())).collect()
    }

    /// Returns the given tokens in the given order.
    ///
    /// # Errors
    /// Returns [`Error::Invalid`] if an id is outside the vocabulary.
    pub fn of_tokens(&self, tokens: &[u32]) -> Result<Vec<TokenLogit>> {
        tokens.iter().map(|&token| self.token(token)).collect()
    }

    /// Returns one token.
    ///
    /// # Errors
    /// Returns [`Error::Invalid`] if the id is outside the vocabulary.
    pub fn token(&self, token: u32) -> Result<TokenLogit> {
        let logit = self.row.get(token as usize).ok_or_else(|| {
            let last = self.row.len() - 1;
            Error::Invalid(format!("token {token} is not in the vocabulary, which ends at {last}"))
        })?;
        Ok(self.describe(token, *logit))
    }

    fn describe(&self, token: u32, logit: f32) -> TokenLogit {
        TokenLogit { token, logit, log_probability: subtract_top(self.top, logit) - self.log_sum }
    }
}

/// Returns the logit less the largest logit. For equal logits the difference is 0, even if both are infinite.
fn subtract_top(top: f32, logit: f32) -> f64 {
    if logit == top { 0.0 } else { f64::from(logit) - f64::from(top) }
}
