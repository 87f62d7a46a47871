//! Warm-up by time.

use super::FixedCount;
use crate::{
    Result,
    policy::{Warmup, WarmupPolicy},
    trial::Trial,
};
use std::time::Duration;

/// Runs the workload's first request until this much time has passed since the first began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeFloor {
    /// At least this long. Energy counters and clocks settle within about half a minute.
    pub floor: Duration,
    /// Tokens that each run generates at most; none leaves the request as it is.
    pub max_new_tokens: Option<u32>,
}

impl Default for TimeFloor {
    fn default() -> Self {
        Self { floor: Duration::from_secs(30), max_new_tokens: None }
    }
}

impl WarmupPolicy for TimeFloor {
    fn next(&mut self, history: &[Trial]) -> Result<Warmup> {
        Ok(if elapsed(history) < self.floor {
            Warmup::reduced(self.max_new_tokens)
        } else {
            Warmup::Done(format!(
                "{:.1} s in {} runs",
                elapsed(history).as_secs_f64(),
                history.len()
            ))
        })
    }
}

/// A count first, then a floor of time over both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountThenFloor {
    /// First this.
    pub count: FixedCount,
    /// Then this.
    pub floor: TimeFloor,
}

impl WarmupPolicy for CountThenFloor {
    fn next(&mut self, history: &[Trial]) -> Result<Warmup> {
        match self.count.next(history)? {
            Warmup::Done(_) => self.floor.next(history),
            more => Ok(more),
        }
    }
}

/// From the first trial's beginning to the last one's end.
fn elapsed(history: &[Trial]) -> Duration {
    let began = history.first().map_or(0, Trial::began);
    Duration::from_nanos(history.last().map_or(0, |trial| trial.ended() - began))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warmup::fixtures::{drive, lasting};

    #[test]
    fn a_floor_holds_until_its_time() {
        let floor = TimeFloor { floor: Duration::from_secs(1), max_new_tokens: None };
        assert_eq!(drive(&mut { floor }, &lasting(&[0.3; 9])), Some(4));
    }

    #[test]
    fn count_then_floor_needs_both() {
        let floor = TimeFloor { floor: Duration::from_secs(1), max_new_tokens: None };
        let policy =
            |runs| CountThenFloor { count: FixedCount { runs, max_new_tokens: None }, floor };
        assert_eq!(drive(&mut policy(6), &lasting(&[0.3; 9])), Some(6));
        assert_eq!(drive(&mut policy(2), &lasting(&[0.3; 9])), Some(4));
    }
}
