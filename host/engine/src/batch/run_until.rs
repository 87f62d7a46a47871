//! Runs steps on the engine's thread until a condition holds. If nothing runs, it waits for the next arrival on the
//! same thread. So no message or clock of the caller comes between an arrival time and the batch.

use super::{Batch, BatchStep, caller_choice};
use crate::{Control, Error, Model, Result, cpu::threads::StopCheck};
use std::{
    hint, thread,
    time::{Duration, Instant},
};

/// The condition that ends [`Batch::run_until`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// A point in time. No step begins after it.
    Time(Instant),
    /// The first step with which a sequence ends.
    NextEnd,
    /// The first step that produces a token.
    NextToken,
}

/// Why [`Batch::run_until`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// The condition holds.
    Reached,
    /// Nothing is left to run, and nothing is scheduled.
    Idle,
    /// All remaining sequences wait for the caller to choose a token.
    Awaiting,
    /// The work was cancelled.
    Cancelled,
}

/// A sleeping thread may be woken this much too late. The rest of a wait is spent polling the clock.
const WAKE_UP_DELAY: Duration = Duration::from_millis(1);

/// How long a waiting thread sleeps before it checks again whether to stop.
const STOP_CHECK_INTERVAL: Duration = Duration::from_millis(10);

impl Batch {
    /// Runs steps until the condition holds, and waits for scheduled arrivals if nothing runs. Calls `each` with
    /// every step. A sequence that arrives during a step is admitted when that step ends.
    ///
    /// # Errors
    /// The errors of [`Batch::step`], and [`Error::Full`] if sequences wait for KV memory and ended sequences hold
    /// all of it.
    pub fn run_until(
        &mut self,
        model: &mut Model,
        control: &Control<'_>,
        until: Until,
        each: impl FnMut(BatchStep),
    ) -> Result<RunOutcome> {
        self.run(model, control, Some(until), each)
    }

    /// Runs steps until no sequence is left, scheduled ones included, or until the work is cancelled. Calls `each`
    /// with every step.
    ///
    /// # Errors
    /// The errors of [`Batch::run_until`], and [`Error::Invalid`] if all remaining sequences wait for the caller to
    /// choose a token.
    pub fn drain(
        &mut self,
        model: &mut Model,
        control: &Control<'_>,
        each: impl FnMut(BatchStep),
    ) -> Result<()> {
        match self.run(model, control, None, each)? {
            RunOutcome::Awaiting => Err(caller_choice::all_await(&self.awaiting())),
            RunOutcome::Reached | RunOutcome::Idle | RunOutcome::Cancelled => Ok(()),
        }
    }

    fn run(
        &mut self,
        model: &mut Model,
        control: &Control<'_>,
        until: Option<Until>,
        mut each: impl FnMut(BatchStep),
    ) -> Result<RunOutcome> {
        let end = if let Some(Until::Time(end)) = until { Some(end) } else { None };
        let mut generated = 0;
        loop {
            if (control.cancelled)() {
                return Ok(RunOutcome::Cancelled);
            }
            if end.is_some_and(|end| end <= llem_clock::now()) {
                return Ok(RunOutcome::Reached);
            }
            self.admit();
            if self.has_work() {
                let step = self.step(model, control.cancelled)?;
                generated += step.tokens.len();
                (control.progress)(generated);
                let is_reached = match until {
                    Some(Until::NextEnd) => !step.ended.is_empty(),
                    Some(Until::NextToken) => !step.tokens.is_empty(),
                    _ => false,
                };
                each(step);
                if is_reached {
                    return Ok(RunOutcome::Reached);
                }
            } else if self.running().next().is_some() {
                return Ok(RunOutcome::Awaiting);
            } else if let Some(arrival) = self.next_arrival() {
                wait(end.map_or(arrival, |end| end.min(arrival)), control.cancelled);
            } else if self.is_empty() {
                return Ok(RunOutcome::Idle);
            } else {
                return Err(self.blocked());
            }
        }
    }

    /// Returns the error that explains why sequences wait although nothing runs.
    fn blocked(&self) -> Error {
        let status = self.status();
        Error::Full(format!(
            "{} sequences wait, but all KV memory is held by {} that have ended: release one of these first",
            status.waiting, status.held
        ))
    }
}

/// Waits until a point in time, or until `stop` returns true. A virtual clock jumps there.
fn wait(until: Instant, stop: &StopCheck<'_>) {
    if let Some(clock) = llem_clock::virtual_clock() {
        return clock.advance_to(until);
    }
    while !stop() {
        let left = until.saturating_duration_since(llem_clock::now());
        if left.is_zero() {
            return;
        }
        match left.checked_sub(WAKE_UP_DELAY) {
            Some(early) if !early.is_zero() => thread::sleep(early.min(STOP_CHECK_INTERVAL)),
            _ => hint::spin_loop(),
        }
    }
}
