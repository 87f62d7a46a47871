//! The tokens that end a sequence, and from when on they may end it.

use super::FinishReason;
use crate::Request;
use std::sync::Arc;

/// The tokens that end a sequence. The end-of-sequence tokens belong to the model, so callers pass them in.
pub(super) struct EndTokens {
    /// Number of tokens before which nothing may end the sequence.
    fewest: usize,
    ignore_eos: bool,
    stop_tokens: Arc<[u32]>,
}

impl EndTokens {
    /// Creates the end tokens of a request's sequences.
    pub(super) fn new(request: &Request) -> Self {
        Self {
            fewest: request.min_new_tokens,
            ignore_eos: request.ignore_eos,
            stop_tokens: Arc::clone(&request.stop_tokens),
        }
    }

    /// Returns true if a sequence with so many generated tokens may end.
    pub(super) fn may_end(&self, generated: usize) -> bool {
        generated >= self.fewest
    }

    /// Returns the number of tokens before which nothing may end the sequence.
    pub(super) fn fewest(&self) -> usize {
        self.fewest
    }

    /// Returns the tokens that must not follow the first `generated` tokens, because they would end the sequence too
    /// early.
    pub(super) fn forbidden<'a>(&'a self, generated: usize, eos: &'a [u32]) -> [&'a [u32]; 2] {
        match (self.may_end(generated), self.ignore_eos) {
            (true, _) => [&[], &[]],
            (false, true) => [&[], &self.stop_tokens],
            (false, false) => [eos, &self.stop_tokens],
        }
    }

    /// Returns why a sequence ends with this token, or `None` if it does not end.
    pub(super) fn reason(&self, token: u32, eos: &[u32]) -> Option<FinishReason> {
        if !self.ignore_eos && eos.contains(&token) {
            return Some(FinishReason::Eos);
        }
        self.stop_tokens.contains(&token).then_some(FinishReason::Stop)
    }
}
