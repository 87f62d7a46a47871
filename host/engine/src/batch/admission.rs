//! When sequences arrive, and when their batch admits them.
//!
//! ```text
//! submit ── arrival lies ahead ──► scheduled ── its time comes ─┐  admitted
//!    └───── otherwise ──────────────────────────────────────────┴─► waiting ── KV memory ──► running
//! ```

use super::{
    Batch, Sequence, SubmittedSequence, WhenFull, check_request, continuous_batch::check_pass,
    kv_reuse::CacheOrigin,
};
use crate::{Error, Model, Request, Result, flops::LogitPositions};
use llem_checkpoint::Shape;
use std::time::Instant;

/// When a sequence arrived, and when its batch admitted it.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// When the sequence arrived: its scheduled time, or else the time of its submission.
    pub arrival: Instant,
    /// When the batch admitted the sequence. From then on it waits for KV memory or runs. `None` if it ended before.
    /// The time since the arrival is how late the batch was.
    pub admitted: Option<Instant>,
    /// Whether a step was running when the sequence arrived. The step had to end before the batch could admit the
    /// sequence.
    pub due_in_step: bool,
}

impl Admission {
    /// Creates the admission of a sequence that arrives at `arrival` and has not been admitted.
    pub(super) fn new(arrival: Instant) -> Self {
        Self { arrival, admitted: None, due_in_step: false }
    }

    /// Records that the sequence is admitted now. `step` is when the last step began and ended.
    pub(super) fn admit(&mut self, now: Instant, step: Option<(Instant, Instant)>) {
        self.admitted = Some(now);
        self.due_in_step =
            step.is_some_and(|(began, ended)| (began..=ended).contains(&self.arrival));
    }
}

impl Batch {
    /// Adds every prompt of a request, which was handed over at `submitted`. Returns the new sequences, whose names
    /// count up from 0.
    ///
    /// If `arrival` is in the future, the prompts are checked and tokenized now and arrive then. Sequences that
    /// arrive at the same time keep the order of their submission.
    ///
    /// # Errors
    /// The request cannot be run. Also if the batch was opened with [`WhenFull::Refuse`] and there is no free KV
    /// memory.
    pub fn submit(
        &mut self,
        model: &Model,
        request: &Request,
        submitted: Instant,
        arrival: Option<Instant>,
    ) -> Result<Vec<SubmittedSequence>> {
        let prompts = model.tokens_of(&request.prompts)?;
        let sequences =
            self.make_sequences(model, request, prompts, [submitted, llem_clock::now()])?;
        self.check_free_memory(sequences.len())?;
        Ok(self.accept(sequences, arrival))
    }

    /// Checks a request and makes its sequences. `at` is when the request was submitted and when it was tokenized.
    pub(super) fn make_sequences(
        &mut self,
        model: &Model,
        request: &Request,
        prompts: Vec<Vec<u32>>,
        at: [Instant; 2],
    ) -> Result<Vec<Sequence>> {
        let (parts, most) = (model.parts(), self.max_tokens);
        check_request(request, &prompts, parts.shape, parts.tokenizer.is_some())?;
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
            if sequence.max_positions() > most {
                return Err(Error::Invalid(format!(
                    "prompt {index} and its max-new-tokens come to {} tokens, but the batch was opened with max-tokens {most}",
                    sequence.max_positions()
                )));
            }
        }
        self.check_pass(&sequences, parts.shape)?;
        Ok(sequences)
    }

    /// Refuses `count` more sequences that need KV memory, if the batch is to refuse them and there is no free
    /// memory.
    pub(super) fn check_free_memory(&self, count: usize) -> Result<()> {
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

    /// Names sequences, and then schedules or admits them.
    pub(super) fn accept(
        &mut self,
        sequences: Vec<Sequence>,
        arrival: Option<Instant>,
    ) -> Vec<SubmittedSequence> {
        self.accept_due();
        let now = llem_clock::now();
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

    /// Refuses sequences with which the largest possible pass would not fit into memory.
    fn check_pass(&mut self, new: &[Sequence], shape: &Shape) -> Result<()> {
        let most = self.options.rows(self.options.max_sequences);
        if new.iter().any(|sequence| sequence.prompt_logits() == LogitPositions::All) {
            let rows =
                new.iter().map(Sequence::max_positions).fold(0, usize::saturating_add).min(most);
            check_pass(shape, rows, rows)?;
        }
        if self.rows >= most {
            return Ok(());
        }
        let known = self.running().chain(self.queued()).chain(new);
        let rows = known.map(Sequence::max_positions).fold(0, usize::saturating_add).min(most);
        if rows > self.rows {
            check_pass(shape, rows, self.options.max_sequences)?;
            self.rows = rows;
        }
        Ok(())
    }

    /// Admits the sequences that have arrived, and gives free KV caches to those that have waited longest, on the
    /// replica that runs the fewest sequences. A fork waits for the replica of the sequence that it is forked from.
    pub(super) fn admit(&mut self) {
        self.accept_due();
        let mut place = 0;
        while place < self.waiting.len() {
            let bound = match self.waiting[place].origin {
                Some(CacheOrigin::Fork { lane, .. }) => Some(lane),
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
                // Later sequences may find a free cache on another replica.
                (None, Some(_)) => place += 1,
                (None, None) => break,
            }
        }
    }

    /// Admits the scheduled sequences that have arrived.
    pub(super) fn accept_due(&mut self) {
        let now = llem_clock::now();
        while let Some(first) = self.scheduled.first_entry().filter(|one| one.key().0 <= now) {
            let sequence = first.remove();
            self.enter(sequence, now);
        }
    }

    /// Admits one sequence that has arrived. It waits, unless it has its KV cache already.
    fn enter(&mut self, mut sequence: Sequence, now: Instant) {
        sequence.admission.admit(now, self.last_step);
        if let Some(CacheOrigin::TakeOver { lane }) = sequence.origin {
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
