//! Generation for a static batch: first prefill, then decode. Each token's time is when the token is on the host.
//!
//! ```text
//! prefill  [a a a a a b b b] [b b c c c c c c] ...   packed, at most PREFILL_ROWS rows a pass
//! decode   [a b c] [a b c] [a c] [a] ...             one row for each sequence still going
//! ```

use crate::{
    Error, Request,
    adapters::ActiveAdapter,
    batch::{Completion, FinishReason, ModelParts, PassKind, Sequence, run_pass},
    parallel::Replica,
};
use std::{ops::Range, time::Instant};

/// Most prompt tokens of one forward pass. The number bounds the memory of activations, and is large enough that
/// matrix products run at their full rate.
pub(crate) const PREFILL_ROWS: usize = 1024;

/// The results of a static batch, which has finished or was interrupted.
#[derive(Debug)]
pub struct Generation {
    /// The completion of each prompt, in the order of the prompts.
    pub completions: Vec<Completion>,
    /// When the request's clock started. KV memory had been reserved and counters had been read before.
    pub submitted: Instant,
    /// When the prompts had been tokenized.
    pub tokenized: Instant,
    /// When every sequence had its first token on the host, or had its prompt run if it generates none.
    pub prefilled: Instant,
    /// When the last token was on the host and the last pass had ended.
    pub finished: Instant,
    /// The error that ended the work early, if one did. The tokens from before are in the completions.
    pub failure: Option<Error>,
}

/// How the caller follows and cancels long work. Both functions are called once for each step.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// Returns true if the work is to stop now.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
    /// Receives the number of tokens that have been generated or scored so far, over all sequences.
    pub progress: &'a (dyn Fn(usize) + Sync),
}

impl Default for Control<'_> {
    /// Never cancels the work, and ignores its progress.
    fn default() -> Self {
        Self { cancelled: &|| false, progress: &|_| () }
    }
}

/// Makes the sequences of the prompts `own` of a request, each with its adapter and its index in the KV pool. `at` is
/// when the request was submitted and when it was tokenized.
pub(crate) fn sequences(
    request: &Request,
    prompts: &[Vec<u32>],
    own: Range<usize>,
    adapters: &[Option<ActiveAdapter>],
    parts: ModelParts<'_>,
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

/// Runs sequences on one replica, whose KV memory has been reserved. The pair of times is when the request was
/// submitted and tokenized.
pub(crate) fn run(
    parts: ModelParts<'_>,
    replica: &mut Replica,
    mut sequences: Vec<Sequence>,
    [submitted, tokenized]: [Instant; 2],
    control: &Control<'_>,
) -> Generation {
    let interrupt = |sequence: &mut Sequence| sequence.end(FinishReason::Interrupted);
    let mut failure = None;
    let mut until_none_is_left = |work: PassKind| {
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
    until_none_is_left(PassKind::Prefill);
    let prefilled = llem_clock::now();
    until_none_is_left(PassKind::Decode);
    let finished = llem_clock::now();
    let completions = sequences.into_iter().map(Sequence::into_completion).collect();
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
