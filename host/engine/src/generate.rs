//! Generation for a static batch: prefill, then decode, each token stamped when it is on the host.
//!
//! ```text
//! prefill  [a a a a a b b b] [b b c c c c c c] ...   packed, at most PREFILL_ROWS rows a pass
//! decode   [a b c] [a b c] [a c] [a] ...             one row for each sequence still going
//! ```

use crate::{
    Error, Request,
    adapters::Adapted,
    batch::{Completion, FinishReason, Parts, Sequence, Work, run_pass},
    parallel::Replica,
};
use std::{ops::Range, time::Instant};

/// Prompt tokens of one forward pass. Bounds activation memory; large enough that the matrix
/// products run at their full rate.
pub const PREFILL_ROWS: usize = 1024;

/// A finished (or interrupted) batch.
#[derive(Debug)]
pub struct Generation {
    /// One for each prompt, in order.
    pub completions: Vec<Completion>,
    /// When the request's clock started: KV memory was reserved and counters were read before.
    pub submitted: Instant,
    /// When its prompts were tokens.
    pub tokenized: Instant,
    /// When the last first token was on the host, or the last prompt run of which none comes.
    pub prefilled: Instant,
    /// When the last token was on the host, and the last pass over.
    pub finished: Instant,
    /// What cut it short, if something failed on the way: what came before is here.
    pub failure: Option<Error>,
}

/// How the caller follows and ends long work. Both are asked once a step.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// Whether to stop now.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
    /// Told how many tokens have been generated or scored so far, over all sequences.
    pub progress: &'a (dyn Fn(usize) + Sync),
}

impl Control<'_> {
    /// Runs to the end and tells nobody.
    pub fn none() -> Self {
        Self { cancelled: &|| false, progress: &|_| () }
    }
}

/// The sequences of the prompts `own` of a request, submitted and tokenized at two moments, each with its adapter and its
/// place in the KV pool.
pub(crate) fn sequences(
    request: &Request,
    prompts: &[Vec<u32>],
    own: Range<usize>,
    adapters: &[Option<Adapted>],
    parts: Parts<'_>,
    at: [Instant; 2],
) -> Vec<Sequence> {
    own.enumerate()
        .map(|(slot, index)| {
            let (prompt, adapter) = (prompts[index].clone(), adapters[index].clone());
            let mut sequence = Sequence::new(request, prompt, index, adapter, parts.shape, at);
            sequence.slot = slot;
            sequence
        })
        .collect()
}

/// Runs sequences on one replica, whose KV memory is reserved. They were submitted and tokenized at two moments.
pub(crate) fn run(
    parts: Parts<'_>,
    replica: &mut Replica,
    mut sequences: Vec<Sequence>,
    [submitted, tokenized]: [Instant; 2],
    control: &Control<'_>,
) -> Generation {
    let interrupt = |sequence: &mut Sequence| sequence.end(FinishReason::Interrupted);
    let mut failure = None;
    let mut until_none_is_left = |work: Work| {
        loop {
            if (control.cancelled)() {
                sequences.iter_mut().for_each(interrupt);
            }
            let stop = control.cancelled;
            let pass = run_pass(parts, replica, None, &mut sequences, work, PREFILL_ROWS, stop);
            let scheduled = match pass {
                Ok(scheduled) => scheduled,
                Err(error) => {
                    // What came before is kept, whatever went wrong.
                    sequences.iter_mut().for_each(interrupt);
                    if !matches!(error, Error::Interrupted) {
                        failure = Some(error);
                    }
                    return;
                }
            };
            if scheduled.is_empty() {
                return;
            }
            if scheduled.iter().any(|tokens| tokens.sampled) {
                (control.progress)(sequences.iter().map(Sequence::generated).sum());
            }
        }
    };
    until_none_is_left(Work::Prefill);
    let prefilled = Instant::now();
    until_none_is_left(Work::Decode);
    let finished = Instant::now();
    let completions = sequences.into_iter().map(Sequence::complete).collect();
    Generation { completions, submitted, tokenized, prefilled, finished, failure }
}

/// What replicas generated at the same time, each for the prompts after the last one's: work ended with the
/// last of them.
pub(crate) fn joined(parts: Vec<Generation>) -> Option<Generation> {
    parts.into_iter().reduce(|mut all, part| {
        all.completions.extend(part.completions);
        all.prefilled = all.prefilled.max(part.prefilled);
        all.finished = all.finished.max(part.finished);
        all.failure = all.failure.or(part.failure);
        all
    })
}
