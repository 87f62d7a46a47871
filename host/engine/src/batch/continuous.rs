//! Continuous batching (Orca, OSDI 2022) under the caller's control: sequences join and leave at any
//! step, and prompts may be run in chunks beside the decode rows of others (Sarathi, arXiv 2308.16369).

use super::{
    caller, check,
    pass::{self, ScheduledTokens, Work},
    sequence::{Completion, FinishReason, Sequence, Submitted},
};
use crate::{
    Control, Error, Model, Request, Result,
    families::Shape,
    flops::Logits,
    generate::PREFILL_ROWS,
    kernels::parallel::Stop,
    memory,
    parallel::{BatchRoom, command::Command, replica::at_once, split::part},
};
use std::{collections::VecDeque, time::Instant};

/// How a batch is run.
#[derive(Clone, Debug)]
pub struct BatchOptions {
    /// Most sequences that run at a time; at least 1.
    pub max_sequences: usize,
    /// Most tokens of one sequence, prompt and output; none means the model's context.
    pub max_tokens: Option<usize>,
    /// Most rows of a pass in which prompt is run; at least 1.
    pub prefill_chunk: usize,
    /// What `submit` does when all sequences' KV memory is taken.
    pub when_full: WhenFull,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self { max_sequences: 8, max_tokens: None, prefill_chunk: 512, when_full: WhenFull::Wait }
    }
}

/// What becomes of a sequence for which there is no KV memory now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It waits, first come first served.
    Wait,
    /// Its request is refused.
    Refuse,
}

/// A continuous batch. Its KV memory is reserved when it is opened.
pub struct Batch {
    options: BatchOptions,
    /// Most tokens of one sequence.
    max_tokens: usize,
    /// One for each replica of the model.
    lanes: Vec<Lane>,
    waiting: VecDeque<Sequence>,
    /// Tokens of those that wait, of their prompts and given ones.
    waiting_tokens: usize,
    /// Sequences that ended without ever having run.
    left: Vec<Sequence>,
    /// Tokens that the caller has chosen since the last step.
    pub(super) chosen: Vec<StepToken>,
    next_name: u64,
    /// Rows of a pass that memory is known to hold.
    rows: usize,
}

/// What runs on one replica.
struct Lane {
    room: BatchRoom,
    /// KV caches that no sequence has.
    free: Vec<usize>,
    running: Vec<Sequence>,
}

/// What one step did.
#[derive(Debug)]
pub struct Step {
    /// The tokens that it produced, or that the caller has chosen since the last.
    pub tokens: Vec<StepToken>,
    /// The sequences that ended with it, or were cancelled since the last.
    pub ended: Vec<Ended>,
    /// The rows that it ran.
    pub scheduled: Vec<ScheduledTokens>,
    /// The sequences that wait for the caller to choose ([`Batch::choose`]). Where nothing else is left, steps run nothing.
    pub awaiting: Vec<u64>,
    /// When it began.
    pub started: Instant,
    /// When its tokens were on the host.
    pub finished: Instant,
}

/// A token of a step.
#[derive(Clone, Copy, Debug)]
pub struct StepToken {
    /// The sequence.
    pub sequence: u64,
    /// The token.
    pub token: u32,
    /// When it was on the host.
    pub at: Instant,
    /// With the sequence's last token.
    pub finish: Option<FinishReason>,
}

/// A sequence that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The sequence.
    pub sequence: u64,
    /// What became of it.
    pub completion: Completion,
}

/// How full a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Sequences that run.
    pub running: usize,
    /// Sequences that wait for KV memory.
    pub waiting: usize,
    /// Bytes that those take which wait.
    pub waiting_bytes: usize,
    /// Bytes of KV memory that are reserved.
    pub kv_bytes: usize,
    /// Positions that are reserved.
    pub kv_capacity: usize,
    /// Positions that hold a token.
    pub kv_used: usize,
}

impl Batch {
    /// Reserves the KV memory of all sequences.
    pub fn open(model: &mut Model, options: BatchOptions) -> Result<Self> {
        let (parts, replicas) = model.split();
        let refuse = |message: String| Err(Error::Invalid(message));
        if options.max_sequences == 0 || options.prefill_chunk == 0 {
            return refuse("max-sequences and prefill-chunk must be at least 1".to_owned());
        }
        let context = parts.shape.context;
        let tokens = options.max_tokens.unwrap_or(context);
        if tokens < 2 || tokens > context {
            return refuse(format!(
                "max-tokens {tokens} must be between 2 and the model's context of {context}"
            ));
        }
        // What is asked here is not asked within a measured request.
        let rows = options.prefill_chunk.min(PREFILL_ROWS);
        check_pass(parts.shape, rows, options.max_sequences)?;
        // With fewer sequences than replicas, some have nothing to do.
        let lanes = replicas.len().min(options.max_sequences);
        let lanes = at_once(&mut replicas[..lanes], |index, replica| {
            let count = part(options.max_sequences, index, lanes).len();
            let room = replica.open_batch(count, tokens)?;
            Ok(Lane { room, free: (0..count).rev().collect(), running: Vec::new() })
        })?;
        Ok(Self {
            options,
            max_tokens: tokens,
            lanes,
            waiting: VecDeque::new(),
            waiting_tokens: 0,
            left: Vec::new(),
            chosen: Vec::new(),
            next_name: 0,
            rows,
        })
    }

    /// Adds every prompt of a request, which was handed over at `submitted`, and returns its sequences, whose
    /// names are counted from 0.
    pub fn submit(
        &mut self,
        model: &Model,
        request: &Request,
        submitted: Instant,
    ) -> Result<Vec<Submitted>> {
        let (parts, most) = (model.parts(), self.max_tokens);
        let context = parts.shape.context;
        let prompts = model.tokens_of(&request.prompts)?;
        let tokenized = Instant::now();
        check(request, &prompts, parts.shape, parts.tokenizer.is_some())?;
        let adapters = model.adapters.choose(&request.adapters, prompts.len())?;
        let mut sequences: Vec<Sequence> = prompts
            .into_iter()
            .zip(adapters)
            .enumerate()
            .map(|(index, (prompt, adapter))| {
                Sequence::new(request, prompt, index, adapter, context, [submitted, tokenized])
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
        let free: usize = self.lanes.iter().map(|lane| lane.free.len()).sum();
        let free = free.saturating_sub(self.waiting.len());
        if self.options.when_full == WhenFull::Refuse && sequences.len() > free {
            return Err(Error::Full(format!(
                "the batch has KV memory for {free} more of its {} sequences, and {} were submitted",
                self.options.max_sequences,
                sequences.len()
            )));
        }
        let first = self.next_name;
        self.next_name += sequences.len() as u64;
        for (name, sequence) in (first..).zip(&mut sequences) {
            sequence.name = name;
        }
        let submitted = sequences.iter().map(Sequence::submitted).collect();
        self.waiting_tokens += sequences.iter().map(Sequence::waiting_tokens).sum::<usize>();
        self.waiting.extend(sequences);
        self.admit();
        Ok(submitted)
    }

    /// Refuses sequences with which the largest pass to come is one that no memory holds.
    fn check_pass(&mut self, new: &[Sequence], shape: &Shape) -> Result<()> {
        let known = self.running().chain(&self.waiting).chain(new);
        let rows = known.map(Sequence::room).fold(0, usize::saturating_add);
        let rows = rows.min(self.options.prefill_chunk.max(self.options.max_sequences));
        if new.iter().any(|sequence| sequence.prompt_logits() == Logits::All) {
            check_pass(shape, rows, rows)?;
        }
        if rows > self.rows {
            check_pass(shape, rows, self.options.max_sequences)?;
            self.rows = rows;
        }
        Ok(())
    }

    /// Runs one pass of all sequences.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once `stop` says so; what a sequence had generated before stays.
    pub fn step(&mut self, model: &mut Model, stop: &Stop<'_>) -> Result<Step> {
        self.admit();
        let (parts, replicas) = model.split();
        let chunk = self.options.prefill_chunk;
        let started = Instant::now();
        let mut lanes: Vec<_> = self.lanes.iter_mut().zip(replicas).collect();
        let steps = at_once(&mut lanes, |_, (lane, replica)| {
            let rows = chunk.max(lane.running.len());
            let room = Some(&lane.room);
            let pieces =
                pass::run(parts, replica, room, &mut lane.running, Work::Mixed, rows, stop)?;
            // Where no token came to the host, a device may still be at work.
            if pieces.iter().all(|piece| !piece.sampled) && !replica.is_on_cpu() {
                replica.all(&Command::Synchronize)?;
            }
            Ok(pieces)
        })?;
        let finished = Instant::now();
        let mut tokens = std::mem::take(&mut self.chosen);
        for (lane, pieces) in self.lanes.iter().zip(&steps) {
            let sampled = pieces.iter().filter(|piece| piece.sampled);
            tokens.extend(sampled.filter_map(|piece| {
                let sequence = &lane.running[piece.sequence];
                let (token, at) = sequence.last()?;
                Some(StepToken { sequence: sequence.name, token, at, finish: sequence.finish() })
            }));
        }
        tokens.sort_by_key(|token| token.sequence);
        let scheduled = steps.concat();
        let (mut ended, awaiting) = (self.take_ended(), self.awaiting());
        // A text that cannot be made is no reason to lose the tokens.
        if let Err(error) = model.detokenize_all(ended.iter_mut().map(|one| &mut one.completion)) {
            tracing::warn!("a completion has no text: {error}");
        }
        Ok(Step { tokens, ended, scheduled, awaiting, started, finished })
    }

    /// Ends a sequence now; the next step returns what became of it.
    pub fn cancel(&mut self, name: u64) -> Result<()> {
        if let Some(sequence) = self.running_mut().find(|sequence| sequence.name == name) {
            sequence.end(FinishReason::Cancelled);
            return Ok(());
        }
        if let Some(place) = self.waiting.iter().position(|sequence| sequence.name == name)
            && let Some(mut sequence) = self.waiting.remove(place)
        {
            self.waiting_tokens -= sequence.waiting_tokens();
            sequence.end(FinishReason::Cancelled);
            self.left.push(sequence);
            return Ok(());
        }
        Err(Error::NotFound(format!("no sequence {name} runs or waits in this batch")))
    }

    /// Ends every sequence with the same reason and returns what became of them, without text.
    pub fn end_all(&mut self, reason: FinishReason) -> Vec<Ended> {
        self.running_mut().for_each(|sequence| sequence.end(reason));
        self.left.extend(self.waiting.drain(..));
        self.waiting_tokens = 0;
        self.left.iter_mut().for_each(|sequence| sequence.end(reason));
        self.take_ended()
    }

    /// Steps until no sequence is left, or the work is cancelled; `each` is told of every step.
    ///
    /// # Errors
    /// As [`Batch::step`]; [`Error::Invalid`] once all that is left waits for the caller to choose.
    pub fn drain(
        &mut self,
        model: &mut Model,
        control: &Control<'_>,
        mut each: impl FnMut(Step),
    ) -> Result<()> {
        let mut generated = 0;
        while !self.is_empty() && !(control.cancelled)() {
            let step = self.step(model, control.cancelled)?;
            generated += step.tokens.len();
            (control.progress)(generated);
            let stands = step.scheduled.is_empty() && !step.awaiting.is_empty();
            let awaiting = stands.then(|| caller::all_await(&step.awaiting));
            each(step);
            if let Some(error) = awaiting {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether there is nothing left to run or to tell.
    pub fn is_empty(&self) -> bool {
        self.running().next().is_none() && self.waiting.is_empty() && self.left.is_empty()
    }

    pub(super) fn running(&self) -> impl Iterator<Item = &Sequence> {
        self.lanes.iter().flat_map(|lane| &lane.running)
    }

    pub(super) fn running_mut(&mut self) -> impl Iterator<Item = &mut Sequence> {
        self.lanes.iter_mut().flat_map(|lane| &mut lane.running)
    }

    /// How full it is.
    pub fn status(&self) -> Status {
        Status {
            running: self.running().count(),
            waiting: self.waiting.len(),
            waiting_bytes: self.waiting.len() * size_of::<Sequence>()
                + self.waiting_tokens * size_of::<u32>(),
            kv_bytes: self.lanes.iter().map(|lane| lane.room.bytes).sum(),
            kv_capacity: self.options.max_sequences * self.max_tokens,
            kv_used: self.running().map(Sequence::past).sum(),
        }
    }

    /// Gives free KV caches to the sequences that have waited longest, on the replica that runs fewest.
    fn admit(&mut self) {
        while !self.waiting.is_empty()
            && let Some(lane) = self
                .lanes
                .iter_mut()
                .filter(|lane| !lane.free.is_empty())
                .min_by_key(|lane| lane.running.len())
            && let Some(slot) = lane.free.pop()
            && let Some(mut sequence) = self.waiting.pop_front()
        {
            self.waiting_tokens -= sequence.waiting_tokens();
            sequence.slot = slot;
            lane.running.push(sequence);
        }
    }

    /// Takes out the sequences that have ended and frees their caches.
    fn take_ended(&mut self) -> Vec<Ended> {
        let mut done = Vec::new();
        for lane in &mut self.lanes {
            let has_ended = |sequence: &mut Sequence| !sequence.is_running();
            let ended: Vec<Sequence> = lane.running.extract_if(.., has_ended).collect();
            lane.free.extend(ended.iter().map(|sequence| sequence.slot));
            done.extend(ended);
        }
        done.append(&mut self.left);
        done.into_iter()
            .map(|done| Ended { sequence: done.name, completion: done.complete() })
            .collect()
    }
}

/// Refuses a pass of so many rows, and the logits of at most so many sequences, that no memory holds.
fn check_pass(shape: &Shape, rows: usize, sequences: usize) -> Result<()> {
    memory::check(
        shape.pass_bytes(rows, rows.min(sequences)),
        || format!("a pass of {rows} rows"),
        "open the batch with a smaller prefill-chunk or fewer sequences",
    )
}
