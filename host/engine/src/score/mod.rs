//! Log-likelihoods of given continuations, as lm-evaluation-harness defines them: `loglikelihood` and
//! `loglikelihood_rolling`.
//!
//! ```text
//! requests ─┐
//!           ├─ windows ── waves ── passes ── a log-likelihood a token ── windows put together ── scores
//! texts ────┘  (shared among the replicas)
//! ```
//!
//! Start at [`crate::Model::score`] and [`Scoring`].

mod assembly;
mod passes;
mod score_request;
mod windows;

pub use assembly::{Completed, Ran, Score};
pub use score_request::ScoreRequest;
pub(crate) use score_request::{check, check_texts};
pub(crate) use windows::Windows;

use crate::{
    Control, Error,
    adapters::Adapted,
    parallel::{Replica, replica::at_once, split},
};
use assembly::Assembly;
use std::{sync::Mutex, time::Instant};

/// A finished (or interrupted) scoring.
#[derive(Debug)]
pub struct Scoring {
    /// One for each request or text, in order; none for one that was not completed.
    pub scores: Vec<Option<Score>>,
    /// What was run, one for each request, or for each window of the context that a text falls into.
    pub ran: Vec<Ran>,
    /// Tokens before what is scored, over all requests or windows.
    pub context_tokens: usize,
    /// Tokens to score, over all requests or windows.
    pub continuation_tokens: usize,
    /// How many of them were scored.
    pub scored_tokens: usize,
    /// Forward passes, those of all replicas.
    pub passes: usize,
    /// What it was computed with; none means the base weights.
    pub adapter: Option<Adapted>,
    /// When work began.
    pub started: Instant,
    /// When the last log-likelihood was on the host.
    pub finished: Instant,
    /// What cut it short; none where it was completed or interrupted.
    pub failure: Option<Error>,
}

impl Scoring {
    /// How many requests or texts were completed.
    pub fn completed(&self) -> usize {
        self.scores.iter().flatten().count()
    }
}

/// Scores windows, which have been checked, on all replicas at the same time.
pub(crate) fn run(
    replicas: &mut [Replica],
    windows: &Windows<'_>,
    adapter: Option<Adapted>,
    control: &Control<'_>,
    completed: &Completed<'_>,
) -> Scoring {
    let started = Instant::now();
    let requests = &windows.requests;
    let count = replicas.len().min(requests.len());
    let assembly = Mutex::new(Assembly::new(windows, control, completed));
    let id = adapter.as_ref().and_then(|adapted| Some(adapted.attached()?.id));
    let result = at_once(&mut replicas[..count], |index, replica| {
        let own = split::part(requests.len(), index, count);
        let result = passes::run(replica, requests, own, id, &assembly);
        if result.is_err() {
            assembly::lock(&assembly).stop();
        }
        result
    });
    let finished = Instant::now();
    let assembly = assembly::into_inner(assembly);
    Scoring {
        context_tokens: requests.iter().map(|request| request.context.len()).sum(),
        continuation_tokens: requests.iter().map(|request| request.continuation.len()).sum(),
        scored_tokens: assembly.scored,
        passes: assembly.passes,
        scores: assembly.scores,
        ran: assembly.ran,
        adapter,
        started,
        finished,
        failure: result.err(),
    }
}
