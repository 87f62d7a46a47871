//! Scores as they come together, from all replicas.

use super::windows::Windows;
use crate::{Control, Error, Result, cpu::parallel::Stop, sampling};
use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The likelihood of a continuation.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Natural logarithm of each continuation token's probability given all before it.
    pub log_likelihoods: Vec<f64>,
    /// Whether greedy decoding would have produced exactly the continuation.
    pub is_greedy: bool,
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

/// What a pass found out about a window.
pub(super) struct Found {
    /// The window's place among all.
    pub window: usize,
    /// Tokens of it that the pass ran.
    pub tokens: usize,
    /// Log-likelihoods of its next continuation tokens; not a number where a logit was not.
    pub log_likelihoods: Vec<f64>,
    /// Whether each of those tokens was the most likely one.
    pub is_greedy: bool,
}

/// Scores so far.
pub(super) struct Assembly<'a> {
    control: &'a Control<'a>,
    completed: &'a Completed<'a>,
    /// For each request or text, the windows that make it up.
    parts: &'a [Range<usize>],
    /// For each window, the request or text that it is of, and its continuation's length.
    windows: Vec<(usize, usize)>,
    /// For each window, what is known of it until what it is of is complete.
    partial: Vec<Score>,
    /// For each request or text, tokens that are not scored yet.
    left: Vec<usize>,
    /// For each request or text, its score once it is complete.
    pub scores: Vec<Option<Score>>,
    /// For each window, how much of it was run.
    pub ran: Vec<Ran>,
    /// Forward passes.
    pub passes: usize,
    /// Tokens scored.
    pub scored: usize,
    stopped: bool,
}

impl<'a> Assembly<'a> {
    /// Nothing is scored yet, but for what has nothing to score.
    pub fn new(
        windows: &'a Windows<'_>,
        control: &'a Control<'a>,
        completed: &'a Completed<'a>,
    ) -> Self {
        let parts = &windows.parts[..];
        let length = |window: usize| windows.requests[window].continuation.len();
        let nothing = || Score { log_likelihoods: Vec::new(), is_greedy: true };
        let of = |(owner, part): (usize, &Range<usize>)| {
            part.clone().map(move |window| (owner, length(window))).collect::<Vec<_>>()
        };
        let mut assembly = Self {
            control,
            completed,
            parts,
            windows: parts.iter().enumerate().flat_map(of).collect(),
            partial: windows.requests.iter().map(|_| nothing()).collect(),
            left: parts.iter().map(|part| part.clone().map(length).sum()).collect(),
            scores: vec![None; parts.len()],
            ran: vec![Ran::default(); windows.requests.len()],
            passes: 0,
            scored: 0,
            stopped: false,
        };
        for owner in 0..parts.len() {
            if assembly.left[owner] == 0 {
                assembly.complete(owner);
            }
        }
        assembly
    }

    /// What ends a pass in its middle: the caller alone, for ranks that are threads do not outlive that.
    pub fn cancelled(&self) -> &'a Stop<'a> {
        self.control.cancelled
    }

    /// Whether no further pass is to be run: the caller has had enough, or another replica has failed.
    pub fn is_to_stop(&self) -> bool {
        self.stopped || (self.control.cancelled)()
    }

    /// Has all replicas stop before their next pass.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Takes in what a pass found out. A logit that is not a number spoils its own window only: the others of
    /// the pass are taken in all the same.
    pub fn take(&mut self, pass: Vec<Found>) -> Result<()> {
        let mut failure: Option<Error> = None;
        self.passes += 1;
        for found in pass {
            let window = found.window;
            let scored = found.log_likelihoods.len();
            self.ran[window].tokens += found.tokens;
            self.ran[window].logits += scored;
            if found.log_likelihoods.iter().any(|value| value.is_nan()) {
                failure = Some(sampling::not_a_number());
                continue;
            }
            self.scored += scored;
            let part = &mut self.partial[window];
            part.log_likelihoods.extend(found.log_likelihoods);
            part.is_greedy &= found.is_greedy;
            let owner = self.windows[window].0;
            self.left[owner] -= scored;
            if scored > 0 && self.left[owner] == 0 {
                self.complete(owner);
            }
        }
        (self.control.progress)(self.scored);
        failure.map_or(Ok(()), Err)
    }

    /// Puts the windows of a request or text together.
    fn complete(&mut self, owner: usize) {
        let mut score = Score { log_likelihoods: Vec::new(), is_greedy: true };
        for part in &mut self.partial[self.parts[owner].clone()] {
            score.log_likelihoods.append(&mut part.log_likelihoods);
            score.is_greedy &= part.is_greedy;
        }
        (self.completed)(owner, &score);
        self.scores[owner] = Some(score);
    }
}

/// A replica that panicked leaves the scores of the passes before.
pub(super) fn lock<'l, 'a>(assembly: &'l Mutex<Assembly<'a>>) -> MutexGuard<'l, Assembly<'a>> {
    assembly.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same when no replica works any more.
pub(super) fn into_inner(assembly: Mutex<Assembly<'_>>) -> Assembly<'_> {
    assembly.into_inner().unwrap_or_else(PoisonError::into_inner)
}
