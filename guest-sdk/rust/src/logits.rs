//! What a script chooses a token by.

use crate::{Result, bindings::batches};

pub use batches::TokenLogit;

/// The logits that a sequence's next token is to be chosen by. They stay as they are when the sequence goes on.
#[derive(Debug)]
pub struct Logits(pub(crate) batches::Logits);

impl Logits {
    /// The most likely tokens, the most likely first; of equal logits, those with the lower ids first.
    pub fn top(&self, count: u32) -> Vec<TokenLogit> {
        self.0.top(count)
    }

    /// Those tokens. Fails with `invalid-argument` for an id outside the vocabulary.
    pub fn of_tokens(&self, tokens: &[u32]) -> Result<Vec<TokenLogit>> {
        Ok(self.0.of_tokens(tokens)?)
    }

    /// All of them, in the order of the vocabulary.
    pub fn all(&self) -> Vec<f32> {
        self.0.all()
    }

    /// The entropy of the distribution, nats.
    pub fn entropy(&self) -> f64 {
        self.0.entropy()
    }
}
