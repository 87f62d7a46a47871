//! Sequences that continue from what another sequence has left in its KV cache.
//!
//! ```text
//! held      prompt ───────── output ──── o        o, its last token, is not in the cache
//! after     └─ cached_tokens ──────────┘ o prompt ── output ──    in the same cache, or (a fork) in a copy of it
//! ```

use super::{
    Batch, Sequence, SubmittedSequence,
    replica_batch::{CacheSlot, adapter_id},
};
use crate::{Error, Model, Request, Result};
use std::time::Instant;

/// The KV cache from which a sequence continues.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CacheOrigin {
    /// The cache of a held sequence, which the new sequence takes over.
    TakeOver {
        /// Index of the replica.
        lane: usize,
    },
    /// A copy of the cache of a sequence that stays held.
    Fork {
        /// Index of the replica.
        lane: usize,
        /// The slot that is copied.
        slot: usize,
        /// The name of the held sequence.
        held: u64,
    },
}

impl Batch {
    /// Submits one prompt that continues sequence `name`, which has ended and holds its KV memory
    /// ([`Request::hold`]).
    ///
    /// The new sequence has all tokens of the held one before its own prompt. Only tokens that are not in the cache
    /// are run: the last token of the held sequence, and the prompt, which may be empty. A fork leaves the held
    /// sequence as it is and needs KV memory of its own, on the same replica. Otherwise the new sequence takes over
    /// the memory of the held one, which is then gone.
    ///
    /// Text is tokenized as in any prompt, with the special tokens that the tokenizer adds. Give token ids if these
    /// do not belong in the middle of a text. `submitted` and `arrival` have the same meaning as in
    /// [`Batch::submit`].
    ///
    /// # Errors
    /// The errors of [`Batch::submit`]. Also if no sequence of that name is held, if it ran with another adapter, or
    /// if other sequences are still to be forked from it.
    pub fn submit_after(
        &mut self,
        model: &Model,
        name: u64,
        fork: bool,
        request: &Request,
        submitted: Instant,
        arrival: Option<Instant>,
    ) -> Result<SubmittedSequence> {
        let [prompt] = &request.prompts[..] else {
            return Err(Error::Invalid(format!(
                "a sequence is continued with one prompt, and the request has {}",
                request.prompts.len()
            )));
        };
        let (lane, &CacheSlot { slot, past, ref context, ref adapter, rope_range }) =
            self.held(name)?;
        if !fork {
            self.check_forks(name)?;
        }
        let new = model.tokens_of(std::slice::from_ref(prompt))?;
        let tokenized = llem_clock::now();
        let (whole, adapter) = ([&context[..], &new.concat()].concat(), adapter.clone());
        let mut sequences =
            self.make_sequences(model, request, vec![whole], [submitted, tokenized])?;
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
            if !rope_range.is_compatible_with(sequence.rope_range) {
                return Err(Error::Invalid(format!(
                    "sequence {name} cannot be continued: its rotary embedding depends on the length, and its keys are not those of a longer sequence; submit the whole as a new prompt"
                )));
            }
            // At least one token is run, because the next token comes from its logits.
            sequence.take_over(past.min(sequence.prompt_tokens() - 1));
            sequence.slot = slot;
            sequence.origin = Some(match fork {
                true => CacheOrigin::Fork { lane, slot, held: name },
                false => CacheOrigin::TakeOver { lane },
            });
        }
        if fork {
            self.check_free_memory(1)?;
        } else {
            self.lanes[lane].held.remove(&name);
        }
        let taken = self.accept(sequences, arrival);
        taken.first().copied().ok_or_else(|| Error::Bug("a continuation is no sequence".to_owned()))
    }

    /// Frees the KV memory that an ended sequence holds.
    ///
    /// # Errors
    /// No sequence of that name is held, or other sequences are still to be forked from it.
    pub fn release(&mut self, name: u64) -> Result<()> {
        let (lane, _) = self.held(name)?;
        self.check_forks(name)?;
        let lane = &mut self.lanes[lane];
        lane.free.extend(lane.held.remove(&name));
        Ok(())
    }

    /// Returns the replica's index and the cache of a held sequence.
    fn held(&self, name: u64) -> Result<(usize, &CacheSlot)> {
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

    /// Refuses to use up a held sequence while other sequences are still to be forked from it.
    fn check_forks(&self, name: u64) -> Result<()> {
        let forks = |origin| matches!(origin, Some(CacheOrigin::Fork { held, .. }) if held == name);
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
#[path = "kv_reuse_tests.rs"]
mod tests;
