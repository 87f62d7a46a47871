//! Sequences whose tokens are chosen by the caller.
//!
//! ```text
//! step ─► logits of a sequence ─► Batch::logits ─► the caller ─► Batch::choose ─► step
//!         └──────────── until then it takes part in no step ───────────┘
//! ```

use super::{Batch, StepToken, sequence::Sequence};
use crate::{Error, Model, Result};
use std::sync::Arc;

impl Batch {
    /// Returns the logits, f32 `[vocab]`, from which a sequence's next token is to be chosen. [`crate::LogitsRow`]
    /// reads them.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the sequence does not wait for a choice.
    pub fn logits(&self, name: u64) -> Result<Arc<[f32]>> {
        let sequence = self.running().find(|sequence| sequence.name == name);
        let row = sequence.filter(|sequence| sequence.awaits_choice()).and_then(Sequence::row);
        row.cloned().ok_or_else(|| awaits_none(name))
    }

    /// Sets a sequence's next token. The token's time is now, and it may end the sequence as any token can. The next
    /// step returns the token, and the sequence takes part in that step.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the sequence does not wait for a choice. [`Error::Invalid`] if the token is outside the
    /// vocabulary, or if it would end the sequence before its `min_new_tokens`. The sequence then still waits.
    pub fn choose(&mut self, model: &Model, name: u64, token: u32) -> Result<()> {
        let parts = model.parts();
        if token as usize >= parts.shape.vocab {
            return Err(Error::Invalid(format!(
                "token {token} is chosen for sequence {name}, but the vocabulary ends at {}",
                parts.shape.vocab - 1
            )));
        }
        let sequence = self
            .running_mut()
            .find(|sequence| sequence.name == name && sequence.awaits_choice())
            .ok_or_else(|| awaits_none(name))?;
        sequence.choose_by_caller(token, parts)?;
        if let Some((token, at)) = sequence.last() {
            let finish = sequence.finish();
            self.chosen.push(StepToken { sequence: name, token, at, finish });
        }
        Ok(())
    }

    /// Returns the names of the sequences that wait for the caller to choose a token, in ascending order.
    pub(crate) fn awaiting(&self) -> Vec<u64> {
        let waiting = self.running().filter(|sequence| sequence.awaits_choice());
        let mut names: Vec<u64> = waiting.map(|sequence| sequence.name).collect();
        names.sort_unstable();
        names
    }
}

fn awaits_none(name: u64) -> Error {
    Error::NotFound(format!("no sequence {name} of this batch waits for a token to be chosen"))
}

/// Returns the error that nothing is left to run before the caller has chosen.
pub(super) fn all_await(names: &[u64]) -> Error {
    let names: Vec<String> = names.iter().map(u64::to_string).collect();
    Error::Invalid(format!(
        "sequences {} wait for tokens to be chosen, and nothing else is left to run: choose them, or cancel the sequences",
        names.join(", ")
    ))
}
