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
mod windows;

pub(crate) use windows::Windows;

use crate::{
    Control, Error, Result,
    adapters::Adapted,
    families::Shape,
    parallel::{Replica, replica::at_once, split},
};
use assembly::Assembly;
use std::{sync::Mutex, time::Instant};

/// A continuation whose likelihood is asked.
#[derive(Clone, Debug)]
pub struct ScoreRequest {
    /// What comes before; at least one token.
    pub context: Vec<u32>,
    /// What is scored; at least one token.
    pub continuation: Vec<u32>,
}

impl ScoreRequest {
    /// Tokens that are run to score it. The last predicts nothing that is asked, so it is never run.
    pub fn input_tokens(&self) -> usize {
        (self.context.len() + self.continuation.len()).saturating_sub(1)
    }
}

/// The likelihood of a continuation.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Natural logarithm of each continuation token's probability given all before it.
    pub log_likelihoods: Vec<f64>,
    /// Whether greedy decoding would have produced exactly the continuation.
    pub is_greedy: bool,
}

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

/// How much of a request or window was run: nothing, all of it, or its first tokens where scoring was cut
/// short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Tokens that went through the model.
    pub tokens: usize,
    /// Positions whose logits were computed.
    pub logits: usize,
}

/// Told each request or text that is complete, by its place among all. It is called between passes, on the
/// thread of any replica.
pub type Completed<'a> = dyn Fn(usize, &Score) + Sync + 'a;

/// Refuses requests that cannot be scored before any is.
pub(crate) fn check(requests: &[ScoreRequest], shape: &Shape) -> Result<()> {
    let each = |(index, request)| check_one(index, request, shape.vocab, shape.context);
    requests.iter().enumerate().try_for_each(each)
}

/// Refuses texts that cannot be scored before any is.
pub(crate) fn check_texts(texts: &[Vec<u32>], prefix: u32, shape: &Shape) -> Result<()> {
    if texts.iter().any(|text| !text.is_empty()) {
        check_tokens(&[prefix], "prefix", shape.vocab)?;
    }
    let each = |(index, text): (usize, &Vec<u32>)| {
        check_tokens(text, &format!("text {index} to score"), shape.vocab)
    };
    texts.iter().enumerate().try_for_each(each)
}

fn check_one(index: usize, request: &ScoreRequest, vocab: usize, context: usize) -> Result<()> {
    let ScoreRequest { context: before, continuation } = request;
    let name = format!("score request {index}");
    if before.is_empty() || continuation.is_empty() {
        return Err(Error::Invalid(format!(
            "{name}: context and continuation need at least one token each"
        )));
    }
    if request.input_tokens() > context {
        return Err(Error::Invalid(format!(
            "{name}: {} tokens do not fit the model's context of {context}",
            before.len() + continuation.len()
        )));
    }
    check_tokens(before, &name, vocab)?;
    check_tokens(continuation, &name, vocab)
}

fn check_tokens(tokens: &[u32], name: &str, vocab: usize) -> Result<()> {
    match tokens.iter().find(|&&token| token as usize >= vocab) {
        None => Ok(()),
        Some(token) => Err(Error::Invalid(format!(
            "{name}: token {token} is beyond the vocabulary, which ends at {}",
            vocab - 1
        ))),
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
