//! Continuous batching (Orca, OSDI 2022) under the caller's control. Sequences join and leave at any step, and a
//! prompt may run in chunks next to the decode rows of other sequences (Sarathi, arXiv 2308.16369).

use super::{
    batch_options::BatchOptions,
    batch_step::{BatchStatus, BatchStep, EndedSequence, StepToken},
    forward_pass::{self, PassKind},
    kv_reuse::CacheOrigin,
    replica_batch::{CacheSlot, ReplicaBatch},
    sequence::{FinishReason, Sequence},
};
use crate::{
    Error, Model, Result,
    cpu::threads::StopCheck,
    generate::PREFILL_ROWS,
    memory,
    parallel::{rank_command::RankCommand, replica::run_on_replicas, split::part_range},
};
use llem_checkpoint::Shape;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

/// A continuous batch. Its KV memory is reserved when it is opened.
///
/// ```
/// use llem_engine::{Batch, BatchOptions, Control, LoadOptions, Model, Prompt, Request};
/// use std::time::Instant;
///
/// let mut model = Model::load(&LoadOptions::new("synthetic:tiny".parse()?))?;
/// let mut batch = Batch::open(&mut model, BatchOptions::default())?;
/// let request = |tokens| Request {
///     prompts: vec![Prompt::Tokens(tokens)],
///     max_new_tokens: 3,
///     ignore_eos: true,
///     ..Request::default()
/// };
/// batch.submit(&model, &request(vec![1, 2]), Instant::now(), None)?;
/// batch.submit(&model, &request(vec![3, 4, 5]), Instant::now(), None)?;
/// assert_eq!(batch.status().running, 2);
///
/// let mut steps = 0;
/// batch.drain(&mut model, &Control::default(), |step| {
///     // Each step gives both sequences a token.
///     assert_eq!(step.tokens.len(), 2);
///     steps += 1;
/// })?;
/// assert_eq!(steps, 3);
/// # Ok::<(), llem_engine::Error>(())
/// ```
pub struct Batch {
    pub(super) options: BatchOptions,
    /// Most tokens of one sequence.
    pub(super) max_tokens: usize,
    /// The sequences of each replica of the model.
    pub(super) lanes: Vec<ReplicaBatch>,
    /// Sequences that will arrive, ordered by their arrival and then by their submission.
    pub(super) scheduled: BTreeMap<(Instant, u64), Sequence>,
    pub(super) waiting: VecDeque<Sequence>,
    /// Prompt tokens and given tokens of the sequences that wait or are scheduled.
    pub(super) waiting_tokens: usize,
    /// When the last step began and ended.
    pub(super) last_step: Option<(Instant, Instant)>,
    /// Sequences that ended without ever having run.
    ended_unstarted: Vec<Sequence>,
    /// Tokens that the caller has chosen since the last step.
    pub(super) chosen: Vec<StepToken>,
    pub(super) next_name: u64,
    /// The most rows of a pass for which memory has been checked.
    pub(super) rows: usize,
}

impl Batch {
    /// Opens a batch and reserves the KV memory of all of its sequences.
    ///
    /// # Errors
    /// The options contradict each other or the model, or there is not enough memory.
    pub fn open(model: &mut Model, options: BatchOptions) -> Result<Self> {
        let (parts, replicas) = model.split();
        let tokens = options.check(parts.shape.context)?;
        // Memory is checked here, so that it need not be checked while a request is measured.
        let rows = options.rows(0).min(PREFILL_ROWS);
        check_pass(parts.shape, rows, options.max_sequences)?;
        // If there are fewer sequences than replicas, some replicas have nothing to do.
        let lanes = replicas.len().min(options.max_sequences);
        let lanes = run_on_replicas(&mut replicas[..lanes], |index, replica| {
            let count = part_range(options.max_sequences, index, lanes).len();
            let memory = replica.open_batch(count, tokens)?;
            Ok(ReplicaBatch::new(memory, count, options.prefix_cache))
        })?;
        Ok(Self {
            options,
            max_tokens: tokens,
            lanes,
            scheduled: BTreeMap::new(),
            waiting: VecDeque::new(),
            waiting_tokens: 0,
            last_step: None,
            ended_unstarted: Vec::new(),
            chosen: Vec::new(),
            next_name: 0,
            rows,
        })
    }

    /// Admits the sequences that have arrived, and runs one pass of all running sequences. Returns at once if there
    /// are none.
    ///
    /// # Errors
    /// [`Error::Interrupted`] after `stop` has returned true. What a sequence generated before is kept.
    pub fn step(&mut self, model: &mut Model, stop: &StopCheck<'_>) -> Result<BatchStep> {
        self.admit();
        let (parts, replicas) = model.split();
        let started = llem_clock::now();
        let options = &self.options;
        let mut lanes: Vec<_> = self.lanes.iter_mut().zip(replicas).collect();
        // Without a running sequence it is not worthwhile to wake a replica's threads.
        lanes.retain(|(lane, _)| !lane.running.is_empty());
        let steps = run_on_replicas(&mut lanes, |_, (lane, replica)| {
            replica.copy(&lane.memory, &lane.copies)?;
            lane.copies.clear();
            let rows = options.rows(lane.running.len());
            let memory = Some(&lane.memory);
            let pieces = forward_pass::run_pass(
                parts,
                replica,
                memory,
                &mut lane.running,
                PassKind::Mixed,
                rows,
                stop,
            )?;
            // If no token came to the host, a device may still be at work.
            if pieces.iter().all(|piece| !piece.sampled) && !replica.is_on_cpu() {
                replica.all(&RankCommand::Synchronize)?;
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
        let finished = llem_clock::now();
        self.last_step = Some((started, finished));
        self.accept_due();
        let (scheduled, tokens): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
        let (scheduled, mut tokens) = (scheduled.concat(), tokens.concat());
        tokens.append(&mut self.chosen);
        tokens.sort_by_key(|token| token.sequence);
        let (mut ended, awaiting) = (self.take_ended(), self.awaiting());
        // The tokens are kept even if they cannot be turned into text.
        if let Err(error) = model.detokenize_all(ended.iter_mut().map(|one| &mut one.completion)) {
            tracing::warn!("a completion has no text: {error}");
        }
        Ok(BatchStep { tokens, ended, scheduled, awaiting, started, finished })
    }

    /// Ends a sequence now. The next step returns its completion.
    ///
    /// # Errors
    /// No such sequence runs, waits or is scheduled.
    pub fn cancel(&mut self, name: u64) -> Result<()> {
        // A sequence that was cancelled before stays among the running ones until the next step.
        let is_named = |sequence: &Sequence| sequence.name == name && sequence.finish().is_none();
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
        self.end_unstarted(sequence, FinishReason::Cancelled);
        Ok(())
    }

    /// Ends every sequence with the same reason and returns their completions without text. Sequences that hold their
    /// KV memory keep it.
    pub fn end_all(&mut self, reason: FinishReason) -> Vec<EndedSequence> {
        self.running_mut().for_each(|sequence| sequence.end(reason));
        let scheduled = std::mem::take(&mut self.scheduled).into_values();
        let queued: Vec<Sequence> = self.waiting.drain(..).chain(scheduled).collect();
        queued.into_iter().for_each(|sequence| self.end_unstarted(sequence, reason));
        self.take_ended()
    }

    /// Ends a sequence that has never run.
    fn end_unstarted(&mut self, mut sequence: Sequence, reason: FinishReason) {
        self.waiting_tokens -= sequence.waiting_tokens();
        if let Some(CacheOrigin::TakeOver { lane }) = sequence.origin {
            self.lanes[lane].free.push(CacheSlot::from_sequence(&sequence));
        }
        sequence.end(reason);
        self.ended_unstarted.push(sequence);
    }

    /// Returns true if nothing is left to run or to return, now or later.
    pub fn is_empty(&self) -> bool {
        let has_any = self.running().next().is_some() || !self.ended_unstarted.is_empty();
        !has_any && self.queued().next().is_none()
    }

    /// Returns true if the next step has something to run or to return. Sequences that wait for the caller's choice
    /// do not count.
    pub(super) fn has_work(&self) -> bool {
        self.running().any(|sequence| !sequence.awaits_choice()) || !self.ended_unstarted.is_empty()
    }

    /// Returns when the next scheduled sequence arrives.
    pub(super) fn next_arrival(&self) -> Option<Instant> {
        self.scheduled.first_key_value().map(|(&(arrival, _), _)| arrival)
    }

    pub(super) fn running(&self) -> impl Iterator<Item = &Sequence> {
        self.lanes.iter().flat_map(|lane| &lane.running)
    }

    pub(super) fn running_mut(&mut self) -> impl Iterator<Item = &mut Sequence> {
        self.lanes.iter_mut().flat_map(|lane| &mut lane.running)
    }

    /// Returns the sequences that wait or are scheduled.
    pub(super) fn queued(&self) -> impl Iterator<Item = &Sequence> {
        self.waiting.iter().chain(self.scheduled.values())
    }

    /// Counts the batch's sequences and its used memory.
    pub fn status(&self) -> BatchStatus {
        let held = || self.lanes.iter().flat_map(|lane| lane.held.values());
        let taking_over = self.queued().filter(|sequence| sequence.takes_over());
        BatchStatus {
            running: self.running().count(),
            waiting: self.waiting.len(),
            scheduled: self.scheduled.len(),
            held: held().count(),
            waiting_bytes: self.queued().count() * size_of::<Sequence>()
                + self.waiting_tokens * size_of::<u32>(),
            kv_bytes: self.lanes.iter().map(|lane| lane.memory.bytes).sum(),
            kv_capacity: self.options.max_sequences * self.max_tokens,
            kv_used: self.running().chain(taking_over).map(Sequence::past).sum::<usize>()
                + held().map(|cached| cached.past).sum::<usize>(),
            prefix_queries: self.lanes.iter().map(|lane| lane.prefix_queries).sum(),
            prefix_hits: self.lanes.iter().map(|lane| lane.prefix_hits).sum(),
        }
    }

    /// Takes out the sequences that have ended.
    fn take_ended(&mut self) -> Vec<EndedSequence> {
        let ended = self.lanes.iter_mut().flat_map(ReplicaBatch::take_ended);
        ended
            .chain(self.ended_unstarted.drain(..))
            .map(|done| EndedSequence {
                sequence: done.name,
                admission: done.admission,
                completion: done.into_completion(),
            })
            .collect()
    }
}

/// Refuses a pass of so many rows, with the logits of at most so many sequences, if it does not fit into memory.
pub(super) fn check_pass(shape: &Shape, rows: usize, sequences: usize) -> Result<()> {
    memory::check(
        shape.pass_bytes(rows, rows.min(sequences)),
        || format!("a pass of {rows} rows"),
        "open the batch with a smaller prefill-chunk or fewer sequences",
    )
}
