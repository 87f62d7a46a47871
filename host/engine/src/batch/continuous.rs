//! Continuous batching (Orca, OSDI 2022) under the caller's control: sequences join and leave at any
//! step, and prompts may be run in chunks beside the decode rows of others (Sarathi, arXiv 2308.16369).

use super::{
    lane::{Cached, Lane},
    options::BatchOptions,
    pass::{self, Work},
    reuse::Origin,
    sequence::{FinishReason, Sequence},
    step::{Ended, Status, Step, StepToken},
};
use crate::{
    Error, Model, Result,
    cpu::parallel::Stop,
    generate::PREFILL_ROWS,
    memory,
    parallel::{command::Command, replica::at_once, split::part},
};
use llem_checkpoint::families::Shape;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

/// A continuous batch. Its KV memory is reserved when it is opened.
pub struct Batch {
    pub(super) options: BatchOptions,
    /// Most tokens of one sequence.
    pub(super) max_tokens: usize,
    /// One for each replica of the model.
    pub(super) lanes: Vec<Lane>,
    /// Those that will arrive, by when they do and then in the order in which they were submitted.
    pub(super) scheduled: BTreeMap<(Instant, u64), Sequence>,
    pub(super) waiting: VecDeque<Sequence>,
    /// Tokens of those that wait or are scheduled, of their prompts and given ones.
    pub(super) waiting_tokens: usize,
    /// When the last step began and ended.
    pub(super) last_step: Option<(Instant, Instant)>,
    /// Sequences that ended without ever having run.
    left: Vec<Sequence>,
    /// Tokens that the caller has chosen since the last step.
    pub(super) chosen: Vec<StepToken>,
    pub(super) next_name: u64,
    /// Rows of a pass that memory is known to hold.
    pub(super) rows: usize,
}

impl Batch {
    /// Reserves the KV memory of all sequences.
    pub fn open(model: &mut Model, options: BatchOptions) -> Result<Self> {
        let (parts, replicas) = model.split();
        let tokens = options.check(parts.shape.context)?;
        // What is asked here is not asked within a measured request.
        let rows = options.rows(0).min(PREFILL_ROWS);
        check_pass(parts.shape, rows, options.max_sequences)?;
        // With fewer sequences than replicas, some have nothing to do.
        let lanes = replicas.len().min(options.max_sequences);
        let lanes = at_once(&mut replicas[..lanes], |index, replica| {
            let count = part(options.max_sequences, index, lanes).len();
            let room = replica.open_batch(count, tokens)?;
            Ok(Lane::new(room, count, options.prefix_cache))
        })?;
        Ok(Self {
            options,
            max_tokens: tokens,
            lanes,
            scheduled: BTreeMap::new(),
            waiting: VecDeque::new(),
            waiting_tokens: 0,
            last_step: None,
            left: Vec::new(),
            chosen: Vec::new(),
            next_name: 0,
            rows,
        })
    }

    /// Takes in what has arrived, and runs one pass of all sequences; returns at once if there are none.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once `stop` says so; what a sequence had generated before stays.
    pub fn step(&mut self, model: &mut Model, stop: &Stop<'_>) -> Result<Step> {
        self.admit();
        let (parts, replicas) = model.split();
        let started = Instant::now();
        let options = &self.options;
        let mut lanes: Vec<_> = self.lanes.iter_mut().zip(replicas).collect();
        // Without a sequence there is nothing that threads are worth being woken for.
        lanes.retain(|(lane, _)| !lane.running.is_empty());
        let steps = at_once(&mut lanes, |_, (lane, replica)| {
            replica.copy(&lane.room, &lane.copies)?;
            lane.copies.clear();
            let rows = options.rows(lane.running.len());
            let room = Some(&lane.room);
            let pieces =
                pass::run(parts, replica, room, &mut lane.running, Work::Mixed, rows, stop)?;
            // Where no token came to the host, a device may still be at work.
            if pieces.iter().all(|piece| !piece.sampled) && !replica.is_on_cpu() {
                replica.all(&Command::Synchronize)?;
            }
            let sampled = pieces.iter().filter(|piece| piece.sampled);
            let tokens: Vec<StepToken> = sampled
                .filter_map(|piece| {
                    let sequence = &lane.running[piece.sequence];
                    let ((token, at), finish) = (sequence.last()?, sequence.finish());
                    Some(StepToken { sequence: sequence.name, token, at, finish })
                })
                .collect();
            Ok((pieces, tokens))
        })?;
        let finished = Instant::now();
        self.last_step = Some((started, finished));
        self.take_due();
        let (scheduled, tokens): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
        let (scheduled, mut tokens) = (scheduled.concat(), tokens.concat());
        tokens.append(&mut self.chosen);
        tokens.sort_by_key(|token| token.sequence);
        let (mut ended, awaiting) = (self.take_ended(), self.awaiting());
        // A text that cannot be made is no reason to lose the tokens.
        if let Err(error) = model.detokenize_all(ended.iter_mut().map(|one| &mut one.completion)) {
            tracing::warn!("a completion has no text: {error}");
        }
        Ok(Step { tokens, ended, scheduled, awaiting, started, finished })
    }

    /// Ends a sequence now; the next step returns what became of it.
    ///
    /// # Errors
    /// No such sequence runs, waits or is scheduled.
    pub fn cancel(&mut self, name: u64) -> Result<()> {
        let is_named = |sequence: &Sequence| sequence.name == name;
        if let Some(sequence) = self.running_mut().find(|sequence| is_named(sequence)) {
            sequence.end(FinishReason::Cancelled);
            return Ok(());
        }
        let waiting = self.waiting.iter().position(is_named);
        let queued = waiting.and_then(|place| self.waiting.remove(place)).or_else(|| {
            self.scheduled.extract_if(.., |_, sequence| is_named(sequence)).next().map(|one| one.1)
        });
        let sequence = queued.ok_or_else(|| {
            Error::NotFound(format!("no sequence {name} runs, waits or is scheduled in this batch"))
        })?;
        self.leave(sequence, FinishReason::Cancelled);
        Ok(())
    }

    /// Ends every sequence with the same reason and returns what became of them, without text. Those that hold their KV
    /// memory keep it.
    pub fn end_all(&mut self, reason: FinishReason) -> Vec<Ended> {
        self.running_mut().for_each(|sequence| sequence.end(reason));
        let scheduled = std::mem::take(&mut self.scheduled).into_values();
        let queued: Vec<Sequence> = self.waiting.drain(..).chain(scheduled).collect();
        queued.into_iter().for_each(|sequence| self.leave(sequence, reason));
        self.take_ended()
    }

    /// Ends a sequence that has never run.
    fn leave(&mut self, mut sequence: Sequence, reason: FinishReason) {
        self.waiting_tokens -= sequence.waiting_tokens();
        if let Some(Origin::TakesOver { lane }) = sequence.origin {
            self.lanes[lane].free.push(Cached::of(&sequence));
        }
        sequence.end(reason);
        self.left.push(sequence);
    }

    /// Whether there is nothing left to run or to tell, now or later.
    pub fn is_empty(&self) -> bool {
        let has_any = self.running().next().is_some() || !self.left.is_empty();
        !has_any && self.queued().next().is_none()
    }

    /// Whether a step has something to run or to tell; sequences that wait for the caller to choose are neither.
    pub(super) fn has_work(&self) -> bool {
        self.running().any(|sequence| !sequence.awaits_choice()) || !self.left.is_empty()
    }

    /// When the next scheduled sequence arrives.
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        self.scheduled.first_key_value().map(|(&(arrival, _), _)| arrival)
    }

    pub(super) fn running(&self) -> impl Iterator<Item = &Sequence> {
        self.lanes.iter().flat_map(|lane| &lane.running)
    }

    pub(super) fn running_mut(&mut self) -> impl Iterator<Item = &mut Sequence> {
        self.lanes.iter_mut().flat_map(|lane| &mut lane.running)
    }

    /// The sequences that wait or are scheduled.
    pub(super) fn queued(&self) -> impl Iterator<Item = &Sequence> {
        self.waiting.iter().chain(self.scheduled.values())
    }

    /// How full it is.
    pub fn status(&self) -> Status {
        let held = || self.lanes.iter().flat_map(|lane| lane.held.values());
        let taking_over = self.queued().filter(|sequence| sequence.takes_over());
        Status {
            running: self.running().count(),
            waiting: self.waiting.len(),
            scheduled: self.scheduled.len(),
            held: held().count(),
            waiting_bytes: self.queued().count() * size_of::<Sequence>()
                + self.waiting_tokens * size_of::<u32>(),
            kv_bytes: self.lanes.iter().map(|lane| lane.room.bytes).sum(),
            kv_capacity: self.options.max_sequences * self.max_tokens,
            kv_used: self.running().chain(taking_over).map(Sequence::past).sum::<usize>()
                + held().map(|cached| cached.past).sum::<usize>(),
            prefix_queries: self.lanes.iter().map(|lane| lane.prefix_queries).sum(),
            prefix_hits: self.lanes.iter().map(|lane| lane.prefix_hits).sum(),
        }
    }

    /// Takes out the sequences that have ended.
    fn take_ended(&mut self) -> Vec<Ended> {
        let ended = self.lanes.iter_mut().flat_map(Lane::take_ended);
        ended
            .chain(self.left.drain(..))
            .map(|done| Ended {
                sequence: done.name,
                admission: done.admission,
                completion: done.complete(),
            })
            .collect()
    }
}

/// Refuses a pass of so many rows, and the logits of at most so many sequences, that no memory holds.
pub(super) fn check_pass(shape: &Shape, rows: usize, sequences: usize) -> Result<()> {
    memory::check(
        shape.pass_bytes(rows, rows.min(sequences)),
        || format!("a pass of {rows} rows"),
        "open the batch with a smaller prefill-chunk or fewer sequences",
    )
}
