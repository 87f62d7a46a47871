//! The logits by which a script chooses a token.

use crate::{Result, bindings::batches};

pub use batches::TokenLogit;

/// The logits of a sequence's next token. They do not change when the sequence goes on.
#[derive(Debug)]
pub struct Logits(pub(crate) batches::Logits);

impl Logits {
    /// Returns the `count` most likely tokens, the most likely first. Tokens with equal logits are in the order of
    /// their ids.
    pub fn top(&self, count: u32) -> Vec<TokenLogit> {
        self.0.top(count)
    }

    /// Returns the logits of these tokens. Fails with `invalid-argument` if an id is outside the vocabulary.
    pub fn of_tokens(&self, tokens: &[u32]) -> Result<Vec<TokenLogit>> {
        Ok(self.0.of_tokens(tokens)?)
    }

    /// Returns all logits, in the order of the vocabulary.
    pub fn all(&self) -> Vec<f32> {
        self.0.all()
    }

    /// Returns the entropy of the distribution, in nats.
    pub fn entropy(&self) -> f64 {
        self.0.entropy()
    }
}
