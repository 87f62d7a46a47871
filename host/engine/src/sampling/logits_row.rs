//! What one row of logits says, in float64.

use super::{
    argmax,
    selection::{block_sums, most_likely},
};
use crate::{Error, Result};

/// A row of logits, `[vocab]`, read as a distribution: the softmax of the logits as they are.
///
/// Infinite logits have the limit that the softmax has as they grow alike: those equal to the largest share all of the
/// probability, so that no probability is ever not a number.
#[derive(Clone, Copy, Debug)]
pub struct LogitsRow<'a> {
    row: &'a [f32],
    /// The largest logit.
    top: f32,
    /// `ln sum exp(logit - top)`, at least 0.
    log_sum: f64,
}

/// A token, and what a row says of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenLogit {
    /// The token.
    pub token: u32,
    /// Its logit, as the model computed it.
    pub logit: f32,
    /// The natural logarithm of its probability.
    pub log_probability: f64,
}

impl<'a> LogitsRow<'a> {
    /// Reads a row.
    ///
    /// # Errors
    /// [`Error::NotANumber`] if a logit is not a number; [`Error::Invalid`] if there is none.
    pub fn new(row: &'a [f32]) -> Result<Self> {
        let most = argmax(row)?;
        let Some(&top) = row.get(most as usize) else {
            return Err(Error::Invalid("a row of logits has none".to_owned()));
        };
        let sums = block_sums(row, |logit| below(top, logit).exp());
        Ok(Self { row, top, log_sum: sums.iter().sum::<f64>().ln() })
    }

    /// `ln sum exp(logit)`, which is infinite if the largest logit is.
    pub fn log_sum_exp(&self) -> f64 {
        f64::from(self.top) + self.log_sum
    }

    /// The entropy of the distribution, `- sum p ln p`, in nats.
    pub fn entropy(&self) -> f64 {
        // With p = exp(x) / sum: the sum's logarithm, less the mean of x. What has no probability adds nothing.
        let sums = block_sums(self.row, |logit| match below(self.top, logit) {
            f64::NEG_INFINITY => 0.0,
            x => x * x.exp(),
        });
        self.log_sum - sums.iter().sum::<f64>() * (-self.log_sum).exp()
    }

    /// The `count` most likely tokens, or all if there are fewer, the most likely first; of equal logits those with the
    /// lower ids first.
    pub fn top(&self, count: usize) -> Vec<TokenLogit> {
        let mut tokens = most_likely(self.row, count);
        tokens.sort_unstable_by(|a, b| b.cmp(a));
        tokens.into_iter().map(|token| self.told(token.id(), token.logit())).collect()
    }

    /// Those tokens, in that order.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an id outside the vocabulary.
    pub fn of_tokens(&self, tokens: &[u32]) -> Result<Vec<TokenLogit>> {
        tokens.iter().map(|&token| self.of(token)).collect()
    }

    /// One token.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an id outside the vocabulary.
    pub fn of(&self, token: u32) -> Result<TokenLogit> {
        let logit = self.row.get(token as usize).ok_or_else(|| {
            let last = self.row.len() - 1;
            Error::Invalid(format!("token {token} is not in the vocabulary, which ends at {last}"))
        })?;
        Ok(self.told(token, *logit))
    }

    fn told(&self, token: u32, logit: f32) -> TokenLogit {
        TokenLogit { token, logit, log_probability: below(self.top, logit) - self.log_sum }
    }
}

/// A logit less the largest.
fn below(top: f32, logit: f32) -> f64 {
    if logit == top { 0.0 } else { f64::from(logit) - f64::from(top) }
}
