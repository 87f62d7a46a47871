//! The scores of a call, collected from the passes of all replicas.

use super::windows::Windows;
use crate::{Control, Error, Result, cpu::threads::StopCheck, sampling};
use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The likelihood of a continuation.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The natural logarithm of each continuation token's probability, given all tokens before it.
    pub log_likelihoods: Vec<f64>,
    /// True if greedy decoding would have produced exactly the continuation.
    pub is_greedy: bool,
}

/// The work that was done for one request or window: nothing, all of it, or its first tokens if scoring was cut
/// short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScoreWork {
    /// The number of tokens that went through the model.
    pub tokens: usize,
    /// The number of positions whose logits were computed.
    pub logits: usize,
}

/// A function that is called with the index and the score of each request or text when it is complete. The call is
/// made between passes, on the thread of any replica.
pub type OnScore<'a> = dyn Fn(usize, &Score) + Sync + 'a;

/// The result of one pass for one window.
pub(super) struct PartialScore {
    /// The index of the window.
    pub window: usize,
    /// The number of the window's tokens that the pass ran.
    pub tokens: usize,
    /// The log-likelihoods of the window's next continuation tokens. A value is NaN if a logit was NaN.
    pub log_likelihoods: Vec<f64>,
    /// True if each of these tokens was the most likely one.
    pub is_greedy: bool,
}

/// The scores of a call so far.
pub(super) struct Assembly<'a> {
    control: &'a Control<'a>,
    completed: &'a OnScore<'a>,
    /// For each request or text, the windows that it consists of.
    parts: &'a [Range<usize>],
    /// For each window, the index of its request or text, and the length of its continuation.
    windows: Vec<(usize, usize)>,
    /// For each window, its score so far. It is emptied when the request or text is complete.
    partial: Vec<Score>,
    /// For each request or text, the number of tokens that are not scored yet.
    left: Vec<usize>,
    /// For each request or text, its score if it is complete.
    pub scores: Vec<Option<Score>>,
    /// For each window, the work that was done.
    pub work: Vec<ScoreWork>,
    /// The number of forward passes.
    pub passes: usize,
    /// The number of tokens scored.
    pub scored: usize,
    stopped: bool,
}

impl<'a> Assembly<'a> {
    /// Makes an assembly in which only requests and texts without tokens are complete.
    pub(super) fn new(
        windows: &'a Windows<'_>,
        control: &'a Control<'a>,
        completed: &'a OnScore<'a>,
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
            work: vec![ScoreWork::default(); windows.requests.len()],
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

    /// Returns the function that ends a pass in its middle. Only the caller ends a pass in its middle, because ranks
    /// that are threads do not survive it.
    pub(super) fn cancelled(&self) -> &'a StopCheck<'a> {
        self.control.cancelled
    }

    /// Returns true if no further pass is to run: the caller has cancelled, or another replica has failed.
    pub(super) fn should_stop(&self) -> bool {
        self.stopped || (self.control.cancelled)()
    }

    /// Makes all replicas stop before their next pass.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Adds the results of a pass.
    ///
    /// # Errors
    /// Returns [`Error::NotANumber`] if a log-likelihood is NaN. The results of the pass's other windows are added
    /// nevertheless.
    pub(super) fn take(&mut self, pass: Vec<PartialScore>) -> Result<()> {
        let mut failure: Option<Error> = None;
        self.passes += 1;
        for found in pass {
            let window = found.window;
            let scored = found.log_likelihoods.len();
            self.work[window].tokens += found.tokens;
            self.work[window].logits += scored;
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

    /// Joins the windows of a request or text, and reports its score.
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

/// Locks the assembly. If a replica panicked, the scores of the passes before are still valid.
pub(super) fn lock<'l, 'a>(assembly: &'l Mutex<Assembly<'a>>) -> MutexGuard<'l, Assembly<'a>> {
    assembly.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the assembly out of its lock when no replica works any more, even if one panicked.
pub(super) fn into_inner(assembly: Mutex<Assembly<'_>>) -> Assembly<'_> {
    assembly.into_inner().unwrap_or_else(PoisonError::into_inner)
}
