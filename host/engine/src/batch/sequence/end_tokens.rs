//! The tokens that end a sequence, and when they may.

use super::FinishReason;
use crate::Request;
use std::sync::Arc;

/// Which tokens end a sequence. End-of-sequence tokens are the model's, and told by whoever asks.
pub struct EndTokens {
    /// Fewest tokens before anything may end it.
    fewest: usize,
    ignore_eos: bool,
    stop_tokens: Arc<[u32]>,
}

impl EndTokens {
    /// Those of a request's sequences.
    pub fn new(request: &Request) -> Self {
        Self {
            fewest: request.min_new_tokens,
            ignore_eos: request.ignore_eos,
            stop_tokens: Arc::clone(&request.stop_tokens),
        }
    }

    /// Whether something may end a sequence that has generated so many tokens.
    pub fn may_end(&self, generated: usize) -> bool {
        generated >= self.fewest
    }

    /// Fewest tokens before anything may end it.
    pub fn fewest(&self) -> usize {
        self.fewest
    }

    /// The tokens that may not follow the `generated` first, because they would end the sequence too early.
    pub fn forbidden<'a>(&'a self, generated: usize, eos: &'a [u32]) -> [&'a [u32]; 2] {
        match (self.may_end(generated), self.ignore_eos) {
            (true, _) => [&[], &[]],
            (false, true) => [&[], &self.stop_tokens],
            (false, false) => [eos, &self.stop_tokens],
        }
    }

    /// Why a sequence ends with this token; none if it does not.
    pub fn reason(&self, token: u32, eos: &[u32]) -> Option<FinishReason> {
        if !self.ignore_eos && eos.contains(&token) {
            return Some(FinishReason::Eos);
        }
        self.stop_tokens.contains(&token).then_some(FinishReason::Stop)
    }
}
