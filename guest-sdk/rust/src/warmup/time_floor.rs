//! Warm-up for a minimum time.

use super::FixedCount;
use crate::{
    Result,
    policy::{WarmupPolicy, WarmupStep},
    trial::Trial,
};
use std::time::Duration;

/// Warms up with the workload's first request until a minimum time has passed since the first run began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeFloor {
    /// The minimum time. Energy counters and clocks settle within about half a minute.
    pub floor: Duration,
    /// The maximum number of tokens that each run generates. `None` leaves the request as it is.
    pub max_new_tokens: Option<u32>,
}

impl Default for TimeFloor {
    fn default() -> Self {
        Self { floor: Duration::from_secs(30), max_new_tokens: None }
    }
}

impl WarmupPolicy for TimeFloor {
    fn next(&mut self, history: &[Trial]) -> Result<WarmupStep> {
        Ok(if elapsed(history) < self.floor {
            WarmupStep::run_first(self.max_new_tokens)
        } else {
            WarmupStep::Done(format!(
                "{:.1} s in {} runs",
                elapsed(history).as_secs_f64(),
                history.len()
            ))
        })
    }
}

/// Warms up with a fixed number of runs first, and then until a minimum time has passed since the first of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountThenFloor {
    /// The policy that is applied first.
    pub count: FixedCount,
    /// The policy that is applied after it.
    pub floor: TimeFloor,
}

impl WarmupPolicy for CountThenFloor {
    fn next(&mut self, history: &[Trial]) -> Result<WarmupStep> {
        match self.count.next(history)? {
            WarmupStep::Done(_) => self.floor.next(history),
            more => Ok(more),
        }
    }
}

/// Returns the time from the beginning of the first trial to the end of the last one.
fn elapsed(history: &[Trial]) -> Duration {
    let began = history.first().map_or(0, Trial::began);
    Duration::from_nanos(history.last().map_or(0, |trial| trial.ended() - began))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{runs_until_done, trials_lasting};

    #[test]
    fn a_time_floor_runs_until_its_time_has_passed() {
        let floor = TimeFloor { floor: Duration::from_secs(1), max_new_tokens: None };
        assert_eq!(runs_until_done(&mut { floor }, &trials_lasting(&[0.3; 9])), Some(4));
    }

    #[test]
    fn count_then_floor_needs_both() {
        let floor = TimeFloor { floor: Duration::from_secs(1), max_new_tokens: None };
        let policy =
            |runs| CountThenFloor { count: FixedCount { runs, max_new_tokens: None }, floor };
        assert_eq!(runs_until_done(&mut policy(6), &trials_lasting(&[0.3; 9])), Some(6));
        assert_eq!(runs_until_done(&mut policy(2), &trials_lasting(&[0.3; 9])), Some(4));
    }
}
