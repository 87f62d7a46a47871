//! Log-likelihoods of given continuations, as lm-evaluation-harness defines them (`loglikelihood` and
//! `loglikelihood_rolling`).
//!
//! ```text
//! requests ─┐
//!           ├─ windows ── waves ── passes ── a log-likelihood a token ── windows joined ── scores
//! texts ────┘  (shared among the replicas)
//! ```
//!
//! Start at [`crate::Model::score`], [`ScoreRequest`] and [`Scoring`].

mod assembly;
mod passes;
mod score_request;
mod windows;

pub use assembly::{OnScore, Score, ScoreWork};
pub use score_request::ScoreRequest;
pub(crate) use score_request::{check, check_texts};
pub(crate) use windows::Windows;

use crate::{
    Control, Error,
    adapters::ActiveAdapter,
    parallel::{Replica, replica::run_on_replicas, split},
};
use assembly::Assembly;
use std::{sync::Mutex, time::Instant};

/// The result of scoring requests or texts, which may have been interrupted.
#[derive(Debug)]
pub struct Scoring {
    /// One score for each request or text, in order. A score is `None` if it was not completed.
    pub scores: Vec<Option<Score>>,
    /// The work that was done for each request, or for each window of a text.
    pub work: Vec<ScoreWork>,
    /// The number of tokens before the scored ones, over all requests or windows.
    pub context_tokens: usize,
    /// The number of tokens to score, over all requests or windows.
    pub continuation_tokens: usize,
    /// The number of tokens that were scored.
    pub scored_tokens: usize,
    /// The number of forward passes of all replicas.
    pub passes: usize,
    /// The adapter that the scores were computed with. `None` means the base weights.
    pub adapter: Option<ActiveAdapter>,
    /// The moment at which work began.
    pub started: Instant,
    /// The moment at which the last log-likelihood was in the CPU's memory.
    pub finished: Instant,
    /// The error that cut scoring short, or `None` if it was completed or interrupted.
    pub failure: Option<Error>,
}

impl Scoring {
    /// Returns the number of completed requests or texts.
    pub fn completed(&self) -> usize {
        self.scores.iter().flatten().count()
    }
}

/// Scores windows on all replicas at the same time. The windows must have been checked.
pub(crate) fn score_windows(
    replicas: &mut [Replica],
    windows: &Windows<'_>,
    adapter: Option<ActiveAdapter>,
    control: &Control<'_>,
    completed: &OnScore<'_>,
) -> Scoring {
    let started = llem_clock::now();
    let requests = &windows.requests;
    let count = replicas.len().min(requests.len());
    let assembly = Mutex::new(Assembly::new(windows, control, completed));
    let id = adapter.as_ref().and_then(|adapted| Some(adapted.attached()?.id));
    let result = run_on_replicas(&mut replicas[..count], |index, replica| {
        let own = split::part_range(requests.len(), index, count);
        let result = passes::run(replica, requests, own, id, &assembly);
        if result.is_err() {
            assembly::lock(&assembly).stop();
        }
        result
    });
    let finished = llem_clock::now();
    let assembly = assembly::into_inner(assembly);
    Scoring {
        context_tokens: requests.iter().map(|request| request.context.len()).sum(),
        continuation_tokens: requests.iter().map(|request| request.continuation.len()).sum(),
        scored_tokens: assembly.scored,
        passes: assembly.passes,
        scores: assembly.scores,
        work: assembly.work,
        adapter,
        started,
        finished,
        failure: result.err(),
    }
}
