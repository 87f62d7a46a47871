//! Sequences that go on from what another has left in its KV cache.
//!
//! ```text
//! held      prompt ───────── output ──── o        o, its last token, is not in the cache
//! after     └─ cached_tokens ──────────┘ o prompt ── output ──    in the same cache, or (a fork) in a copy of it
//! ```

use super::{
    Batch, Sequence, Submitted,
    lane::{Cached, adapter_id},
};
use crate::{Error, Model, Request, Result};
use std::time::Instant;

/// The KV cache from which a sequence goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// Of a sequence that was held: it has its slot already.
    TakesOver {
        /// The replica.
        lane: usize,
    },
    /// A copy of that of a sequence that stays held.
    Fork {
        /// The replica.
        lane: usize,
        /// The slot that is copied.
        slot: usize,
        /// The sequence that is held.
        held: u64,
    },
}

impl Batch {
    /// Submits the one prompt of a request to go on after sequence `name`, which has ended and holds its KV memory
    /// ([`Request::hold`]). The new sequence has all tokens of that one before its prompt, and only those are run that are
    /// not in its cache: its last token, and the prompt. The prompt may have no tokens. A fork leaves the held sequence as
    /// it is and needs KV memory of its own, on the replica of that one; otherwise the held one is used up, and the new
    /// one needs no other memory.
    ///
    /// Text is tokenized as that of any prompt, with the special tokens that the tokenizer adds: give tokens where these
    /// do not belong into the middle of a text. The moments are as for [`Batch::submit`].
    ///
    /// # Errors
    /// As [`Batch::submit`]; no sequence of that name is held, it ran with another adapter, or sequences are still to be
    /// forked from it.
    pub fn submit_after(
        &mut self,
        model: &Model,
        name: u64,
        fork: bool,
        request: &Request,
        submitted: Instant,
        arrival: Option<Instant>,
    ) -> Result<Submitted> {
        let [prompt] = &request.prompts[..] else {
            return Err(Error::Invalid(format!(
                "a sequence is continued with one prompt, and the request has {}",
                request.prompts.len()
            )));
        };
        let (lane, &Cached { slot, past, ref context, ref adapter, rope_range }) =
            self.held(name)?;
        if !fork {
            self.check_forks(name)?;
        }
        let new = model.tokens_of(std::slice::from_ref(prompt))?;
        let tokenized = Instant::now();
        let (whole, adapter) = ([&context[..], &new.concat()].concat(), adapter.clone());
        let mut sequences = self.made(model, request, vec![whole], [submitted, tokenized])?;
        for sequence in &mut sequences {
            if adapter_id(sequence.adapter.as_ref()) != adapter_id(adapter.as_ref()) {
                let named = adapter.as_ref().map_or_else(
                    || "without an adapter".to_owned(),
                    |one| format!("with the adapter '{}'", one.adapter.name),
                );
                return Err(Error::Invalid(format!(
                    "sequence {name} ran {named}: name the same in the request that continues it"
                )));
            }
            if !rope_range.serves(sequence.rope_range) {
                return Err(Error::Invalid(format!(
                    "sequence {name} cannot be continued: its rotary embedding depends on the length, and its keys are not those of a longer sequence; submit the whole as a new prompt"
                )));
            }
            // At least one token is run, so that another can come of it.
            sequence.take_over(past.min(sequence.prompt_tokens() - 1));
            sequence.slot = slot;
            sequence.origin = Some(match fork {
                true => Origin::Fork { lane, slot, held: name },
                false => Origin::TakesOver { lane },
            });
        }
        if fork {
            self.check_free(1)?;
        } else {
            self.lanes[lane].held.remove(&name);
        }
        let taken = self.take(sequences, arrival);
        taken.first().copied().ok_or_else(|| Error::Bug("a continuation is no sequence".to_owned()))
    }

    /// Frees the KV memory that a sequence holds.
    ///
    /// # Errors
    /// No sequence of that name is held, or sequences are still to be forked from it.
    pub fn release(&mut self, name: u64) -> Result<()> {
        let (lane, _) = self.held(name)?;
        self.check_forks(name)?;
        let lane = &mut self.lanes[lane];
        lane.free.extend(lane.held.remove(&name));
        Ok(())
    }

    /// The replica on which a sequence is held, and its cache.
    fn held(&self, name: u64) -> Result<(usize, &Cached)> {
        let mut lanes = self.lanes.iter().enumerate();
        let found = lanes.find_map(|(index, lane)| Some((index, lane.held.get(&name)?)));
        found.ok_or_else(|| {
            let is_named = |sequence: &Sequence| sequence.name == name;
            if self.running().chain(self.queued()).any(is_named) {
                Error::Invalid(format!(
                    "sequence {name} has not ended: it can be continued or released once it has"
                ))
            } else {
                Error::NotFound(format!(
                    "no sequence {name} is held in this batch: ask in its request to hold its KV memory"
                ))
            }
        })
    }

    /// Refuses to use up the memory of a sequence from which others are still to be forked.
    fn check_forks(&self, name: u64) -> Result<()> {
        let forks = |origin| matches!(origin, Some(Origin::Fork { held, .. }) if held == name);
        match self.queued().find(|sequence| forks(sequence.origin)) {
            Some(fork) => Err(Error::Invalid(format!(
                "sequence {} is still to be forked from sequence {name}: run steps until it has started, or cancel it",
                fork.name
            ))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "reuse_tests.rs"]
mod tests;
