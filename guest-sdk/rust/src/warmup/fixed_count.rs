//! Warm-up by a number of runs, and no warm-up.

use crate::{
    Result,
    policy::{WarmupPolicy, WarmupStep},
    trial::Trial,
};

/// Warms up with a fixed number of runs of the workload's first request, with a shortened output.
///
/// ```
/// use llem_sdk::{FixedCount, WarmupPolicy, WarmupStep};
///
/// let mut policy = FixedCount { runs: 1, max_new_tokens: Some(2) };
/// let step = policy.next(&[])?;
/// assert!(matches!(step, WarmupStep::Run { request: None, max_new_tokens: Some(2) }));
/// # Ok::<(), llem_sdk::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedCount {
    /// The number of runs.
    pub runs: usize,
    /// The maximum number of tokens that each run generates. `None` leaves the request as it is.
    pub max_new_tokens: Option<u32>,
}

impl Default for FixedCount {
    /// Returns five runs of two tokens. Two tokens exercise both prefill and decode.
    fn default() -> Self {
        Self { runs: 5, max_new_tokens: Some(2) }
    }
}

impl WarmupPolicy for FixedCount {
    fn next(&mut self, history: &[Trial]) -> Result<WarmupStep> {
        Ok(if history.len() < self.runs {
            WarmupStep::run_first(self.max_new_tokens)
        } else {
            WarmupStep::Done(format!("{} runs", self.runs))
        })
    }
}

/// Does not warm up, for experiments that measure the cost of a first request.
#[derive(Clone, Copy, Debug, Default)]
pub struct ColdStart;

impl WarmupPolicy for ColdStart {
    fn next(&mut self, _: &[Trial]) -> Result<WarmupStep> {
        Ok(WarmupStep::Done("cold start, as asked".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{runs_until_done, trials_lasting};

    #[test]
    fn five_runs_of_two_tokens_by_default() {
        let runs = runs_until_done(&mut FixedCount::default(), &trials_lasting(&[0.1; 9]));
        assert_eq!(runs, Some(5));
        let first = FixedCount::default().next(&[]);
        assert!(matches!(first, Ok(WarmupStep::Run { request: None, max_new_tokens: Some(2) })));
    }

    #[test]
    fn a_cold_start_runs_nothing() {
        assert_eq!(runs_until_done(&mut ColdStart, &[]), Some(0));
    }
}
