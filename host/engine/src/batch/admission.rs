//! When sequences arrive, and when their batch takes them in.
//!
//! ```text
//! submit ── arrival lies ahead ──► scheduled ── its time comes ─┐  admitted
//!    └───── otherwise ──────────────────────────────────────────┴─► waiting ── KV memory ──► running
//! ```

use super::{Batch, Sequence, Submitted, WhenFull, check, continuous::check_pass, reuse::Origin};
use crate::{Error, Model, Request, Result, flops::Logits};
use llem_checkpoint::families::Shape;
use std::time::Instant;

/// When a sequence arrived, and when its batch took it in.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// When it arrived: as it was scheduled, or else when it was handed over.
    pub arrival: Instant,
    /// When its batch took it in: from then on it waits for KV memory or runs. None if it ended before that.
    /// The time since its arrival is how late the batch was.
    pub admitted: Option<Instant>,
    /// Whether a step was running when it came due, which had to end before the batch could take it in.
    pub due_in_step: bool,
}

impl Admission {
    /// Of a sequence that arrives at `arrival`.
    pub(super) fn new(arrival: Instant) -> Self {
        Self { arrival, admitted: None, due_in_step: false }
    }

    /// Notes that it is taken in now; `step` is when the last step began and ended.
    pub(super) fn admit(&mut self, now: Instant, step: Option<(Instant, Instant)>) {
        self.admitted = Some(now);
        self.due_in_step =
            step.is_some_and(|(began, ended)| (began..=ended).contains(&self.arrival));
    }
}

impl Batch {
    /// Adds every prompt of a request, which was handed over at `submitted`, and returns its sequences, whose
    /// names are counted from 0. Where `arrival` lies ahead they are checked and tokenized now and arrive then, those of one
    /// moment in the order in which they were submitted.
    ///
    /// # Errors
    /// The request cannot be run, or, as the batch was opened to refuse then, KV memory is taken.
    pub fn submit(
        &mut self,
        model: &Model,
        request: &Request,
        submitted: Instant,
        arrival: Option<Instant>,
    ) -> Result<Vec<Submitted>> {
        let prompts = model.tokens_of(&request.prompts)?;
        let sequences = self.made(model, request, prompts, [submitted, Instant::now()])?;
        self.check_free(sequences.len())?;
        Ok(self.take(sequences, arrival))
    }

    /// The sequences of a request, which was submitted and tokenized at two moments, once they have been checked.
    pub(super) fn made(
        &mut self,
        model: &Model,
        request: &Request,
        prompts: Vec<Vec<u32>>,
        at: [Instant; 2],
    ) -> Result<Vec<Sequence>> {
        let (parts, most) = (model.parts(), self.max_tokens);
        check(request, &prompts, parts.shape, parts.tokenizer.is_some())?;
        let adapters = model.adapters.choose(&request.adapters, prompts.len())?;
        let sequences: Vec<Sequence> = prompts
            .into_iter()
            .zip(adapters)
            .enumerate()
            .map(|(index, (prompt, adapter))| {
                Sequence::new(request, prompt, index, adapter, parts.shape, at)
            })
            .collect();
        for (index, sequence) in sequences.iter().enumerate() {
            if sequence.room() > most {
                return Err(Error::Invalid(format!(
                    "prompt {index} and its max-new-tokens come to {} tokens, but the batch was opened with max-tokens {most}",
                    sequence.room()
                )));
            }
        }
        self.check_pass(&sequences, parts.shape)?;
        Ok(sequences)
    }

    /// Refuses `count` more sequences that need KV memory, if that is asked for and there is none.
    pub(super) fn check_free(&self, count: usize) -> Result<()> {
        let free: usize = self.lanes.iter().map(|lane| lane.free.len()).sum();
        let needs = |sequence: &&Sequence| !sequence.takes_over();
        let free = free.saturating_sub(self.queued().filter(needs).count());
        if self.options.when_full == WhenFull::Refuse && count > free {
            return Err(Error::Full(format!(
                "the batch has KV memory for {free} more of its {} sequences, and {count} were submitted",
                self.options.max_sequences
            )));
        }
        Ok(())
    }

    /// Names sequences, and schedules them or takes them in.
    pub(super) fn take(
        &mut self,
        sequences: Vec<Sequence>,
        arrival: Option<Instant>,
    ) -> Vec<Submitted> {
        self.take_due();
        let now = Instant::now();
        let mut submitted = Vec::with_capacity(sequences.len());
        for mut sequence in sequences {
            sequence.name = self.next_name;
            self.next_name += 1;
            submitted.push(sequence.submitted());
            self.waiting_tokens += sequence.waiting_tokens();
            sequence.admission.arrival = arrival.unwrap_or(sequence.admission.arrival);
            if sequence.admission.arrival > now {
                self.scheduled.insert((sequence.admission.arrival, sequence.name), sequence);
            } else {
                self.enter(sequence, now);
            }
        }
        self.admit();
        submitted
    }

    /// Refuses sequences with which the largest pass to come is one that no memory holds.
    fn check_pass(&mut self, new: &[Sequence], shape: &Shape) -> Result<()> {
        let most = self.options.rows(self.options.max_sequences);
        if new.iter().any(|sequence| sequence.prompt_logits() == Logits::All) {
            let rows = new.iter().map(Sequence::room).fold(0, usize::saturating_add).min(most);
            check_pass(shape, rows, rows)?;
        }
        if self.rows >= most {
            return Ok(());
        }
        let known = self.running().chain(self.queued()).chain(new);
        let rows = known.map(Sequence::room).fold(0, usize::saturating_add).min(most);
        if rows > self.rows {
            check_pass(shape, rows, self.options.max_sequences)?;
            self.rows = rows;
        }
        Ok(())
    }

    /// Takes in what has arrived, and gives free KV caches to the sequences that have waited longest, on the replica that
    /// runs fewest. A fork waits for the replica of what it is forked from.
    pub(super) fn admit(&mut self) {
        self.take_due();
        let mut place = 0;
        while place < self.waiting.len() {
            let bound = match self.waiting[place].origin {
                Some(Origin::Fork { lane, .. }) => Some(lane),
                _ => None,
            };
            let lanes = self.lanes.iter_mut().enumerate();
            let free = lanes
                .filter(|(index, lane)| {
                    !lane.free.is_empty() && bound.is_none_or(|bound| bound == *index)
                })
                .map(|(_, lane)| lane)
                .min_by_key(|lane| lane.running.len());
            match (free, bound) {
                (Some(lane), _) => {
                    if let Some(sequence) = self.waiting.remove(place) {
                        self.waiting_tokens -= sequence.waiting_tokens();
                        lane.start(sequence);
                    }
                }
                // Those after it may find room on another replica.
                (None, Some(_)) => place += 1,
                (None, None) => break,
            }
        }
    }

    /// Takes in the scheduled sequences that have arrived.
    pub(super) fn take_due(&mut self) {
        let now = Instant::now();
        while let Some(first) = self.scheduled.first_entry().filter(|one| one.key().0 <= now) {
            let sequence = first.remove();
            self.enter(sequence, now);
        }
    }

    /// Takes in a sequence that has arrived: it waits, unless it has its KV cache already.
    fn enter(&mut self, mut sequence: Sequence, now: Instant) {
        sequence.admission.admit(now, self.last_step);
        if let Some(Origin::TakesOver { lane }) = sequence.origin {
            self.waiting_tokens -= sequence.waiting_tokens();
            self.lanes[lane].running.push(sequence);
        } else {
            self.waiting.push_back(sequence);
        }
    }
}

#[cfg(test)]
#[path = "admission_tests.rs"]
mod tests;
