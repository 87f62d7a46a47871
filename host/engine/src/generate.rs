//! Generation for a static batch: prefill, then decode, each token stamped when it is on the host.
//!
//! ```text
//! prefill  [a a a a a b b b] [b b c c c c c c] ...   packed, at most PREFILL_ROWS rows a pass
//! decode   [a b c] [a b c] [a c] [a] ...             one row for each sequence still going
//! ```

use crate::{
    Error, Result, Sampling,
    adapters::{Adapted, Choice},
    batch::{Completion, FinishReason, Parts, Sequence, Work, run_pass},
    parallel::Replica,
};
use std::{
    ops::Range,
    time::{Duration, Instant},
};

/// Prompt tokens of one forward pass. Bounds activation memory; large enough that the matrix
/// products run at their full rate.
pub const PREFILL_ROWS: usize = 1024;

/// A static batch.
#[derive(Clone, Debug)]
pub struct Request {
    /// Token ids, one list a sequence; no list is empty.
    pub prompts: Vec<Vec<u32>>,
    /// Most tokens to generate for a sequence; at least 1.
    pub max_new_tokens: usize,
    /// Goes on past end-of-sequence tokens.
    pub ignore_eos: bool,
    /// Ends a sequence when its text contains one of these.
    pub stop: Vec<String>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Keeps the logits of every position.
    pub keep_logits: bool,
    /// What each sequence runs with; empty means the model's default.
    pub adapters: Choice,
}

/// A finished (or interrupted) batch.
#[derive(Debug)]
pub struct Generation {
    /// One for each prompt, in order.
    pub completions: Vec<Completion>,
    /// When work began, the KV cache being reserved.
    pub started: Instant,
    /// When the last first token was on the host.
    pub prefilled: Instant,
    /// When the last token was on the host.
    pub finished: Instant,
    /// What cut it short, if something failed on the way: what came before is here.
    pub failure: Option<Error>,
}

impl Generation {
    /// Prompt processing of the whole batch, to the last first token.
    pub fn prefill_time(&self) -> Duration {
        self.prefilled - self.started
    }

    /// From there to the last token.
    pub fn decode_time(&self) -> Duration {
        self.finished - self.prefilled
    }
}

/// How the caller follows and ends long work. Both are asked once a step.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// Whether to stop now.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
    /// Told how many tokens have been generated so far, over all sequences.
    pub progress: &'a (dyn Fn(usize) + Sync),
}

impl Control<'_> {
    /// Runs to the end and tells nobody.
    pub fn none() -> Self {
        Self { cancelled: &|| false, progress: &|_| () }
    }
}

/// Runs the prompts `own` of a request on one replica, each sequence with its adapter.
pub(crate) fn run(
    parts: Parts<'_>,
    replica: &mut Replica,
    request: &Request,
    own: Range<usize>,
    adapters: &[Option<Adapted>],
    control: &Control<'_>,
) -> Result<Generation> {
    let mut sequences: Vec<Sequence> = own
        .enumerate()
        .map(|(slot, index)| {
            let adapter = adapters[index].clone();
            let mut sequence = Sequence::new(request, index, adapter, parts.shape.context);
            sequence.slot = slot;
            sequence
        })
        .collect();
    let rooms: Vec<usize> = sequences.iter().map(Sequence::room).collect();
    replica.reserve(&rooms)?;

    let interrupt = |sequence: &mut Sequence| sequence.end(FinishReason::Interrupted);
    let mut failure = None;
    let mut until_none_is_left = |work: Work| {
        loop {
            if (control.cancelled)() {
                sequences.iter_mut().for_each(interrupt);
            }
            let stop = control.cancelled;
            let pass = run_pass(parts, replica, None, &mut sequences, work, PREFILL_ROWS, stop);
            let pieces = match pass {
                Ok(pieces) => pieces,
                Err(error) => {
                    // What came before is kept, whatever went wrong.
                    sequences.iter_mut().for_each(interrupt);
                    if !matches!(error, Error::Interrupted) {
                        failure = Some(error);
                    }
                    return;
                }
            };
            if pieces.is_empty() {
                return;
            }
            if pieces.iter().any(|piece| piece.sampled) {
                (control.progress)(sequences.iter().map(Sequence::generated).sum());
            }
        }
    };
    let started = Instant::now();
    until_none_is_left(Work::Prefill);
    let prefilled = Instant::now();
    until_none_is_left(Work::Decode);
    let finished = Instant::now();
    let completions =
        sequences.into_iter().map(|sequence| sequence.complete(parts)).collect::<Result<_>>()?;
    Ok(Generation { completions, started, prefilled, finished, failure })
}

/// What replicas generated at the same time, each for the prompts after the last one's: work began with
/// the first and ended with the last of them.
pub(crate) fn joined(parts: Vec<Generation>) -> Option<Generation> {
    parts.into_iter().reduce(|mut all, part| {
        all.completions.extend(part.completions);
        all.started = all.started.min(part.started);
        all.prefilled = all.prefilled.max(part.prefilled);
        all.finished = all.finished.max(part.finished);
        all.failure = all.failure.or(part.failure);
        all
    })
}
