//! Steps on the engine's thread until a condition holds. While nothing runs it waits for the next arrival, so that no
//! caller's clock or message lies between an arrival's time and the batch.

use super::{Batch, Step, caller};
use crate::{Control, Error, Model, Result, cpu::parallel::Stop};
use std::{
    hint, thread,
    time::{Duration, Instant},
};

/// What ends [`Batch::run_until`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The time: no step begins after it.
    Time(Instant),
    /// A step with which a sequence ended.
    NextEnd,
    /// A step that produced a token.
    NextToken,
}

/// Why [`Batch::run_until`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What it ran until has come.
    Reached,
    /// Nothing is left to run, and nothing is scheduled.
    Idle,
    /// All that is left to run waits for the caller to choose.
    Awaiting,
    /// It was asked to stop.
    Cancelled,
}

/// A sleeping thread may be woken this much too late; the rest of a wait is spent asking the clock.
const LATE: Duration = Duration::from_millis(1);

/// How long it sleeps before it asks whether to stop.
const ASK_AFTER: Duration = Duration::from_millis(10);

impl Batch {
    /// Runs steps, and waits for scheduled arrivals where nothing runs, until the condition holds; `each` is told of every
    /// step. An arrival that comes due while a step runs is taken in when that step ends.
    ///
    /// # Errors
    /// As [`Batch::step`]; [`Error::Full`] where sequences wait for KV memory and all of it is held by ended ones.
    pub fn run_until(
        &mut self,
        model: &mut Model,
        control: &Control<'_>,
        until: Until,
        each: impl FnMut(Step),
    ) -> Result<Outcome> {
        self.run(model, control, Some(until), each)
    }

    /// Steps until no sequence is left, scheduled ones included, or the work is cancelled; `each` is told of every step.
    ///
    /// # Errors
    /// As [`Batch::run_until`]; [`Error::Invalid`] once all that is left waits for the caller to choose.
    pub fn drain(
        &mut self,
        model: &mut Model,
        control: &Control<'_>,
        each: impl FnMut(Step),
    ) -> Result<()> {
        match self.run(model, control, None, each)? {
            Outcome::Awaiting => Err(caller::all_await(&self.awaiting())),
            Outcome::Reached | Outcome::Idle | Outcome::Cancelled => Ok(()),
        }
    }

    fn run(
        &mut self,
        model: &mut Model,
        control: &Control<'_>,
        until: Option<Until>,
        mut each: impl FnMut(Step),
    ) -> Result<Outcome> {
        let end = if let Some(Until::Time(end)) = until { Some(end) } else { None };
        let mut generated = 0;
        loop {
            if (control.cancelled)() {
                return Ok(Outcome::Cancelled);
            }
            if end.is_some_and(|end| end <= Instant::now()) {
                return Ok(Outcome::Reached);
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
                    return Ok(Outcome::Reached);
                }
            } else if self.running().next().is_some() {
                return Ok(Outcome::Awaiting);
            } else if let Some(arrival) = self.next_arrival() {
                wait(end.map_or(arrival, |end| end.min(arrival)), control.cancelled);
            } else if self.is_empty() {
                return Ok(Outcome::Idle);
            } else {
                return Err(self.blocked());
            }
        }
    }

    /// Why sequences wait although nothing runs.
    fn blocked(&self) -> Error {
        let status = self.status();
        Error::Full(format!(
            "{} sequences wait, but all KV memory is held by {} that have ended: release one of these first",
            status.waiting, status.held
        ))
    }
}

/// Waits until a moment, or until `stop` says so.
fn wait(until: Instant, stop: &Stop<'_>) {
    while !stop() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        match left.checked_sub(LATE) {
            Some(early) if !early.is_zero() => thread::sleep(early.min(ASK_AFTER)),
            _ => hint::spin_loop(),
        }
    }
}
