//! Warm-up by count.

use crate::{
    Result,
    policy::{Warmup, WarmupPolicy},
    trial::Trial,
};

/// So many runs of the workload's first request, with a reduced output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedCount {
    /// Runs.
    pub runs: usize,
    /// Tokens that each generates at most; none leaves the request as it is.
    pub max_new_tokens: Option<u32>,
}

impl Default for FixedCount {
    /// Five runs of two tokens: prefill and decode are both exercised and nothing else is.
    fn default() -> Self {
        Self { runs: 5, max_new_tokens: Some(2) }
    }
}

impl WarmupPolicy for FixedCount {
    fn next(&mut self, history: &[Trial]) -> Result<Warmup> {
        Ok(if history.len() < self.runs {
            Warmup::reduced(self.max_new_tokens)
        } else {
            Warmup::Done(format!("{} runs", self.runs))
        })
    }
}

/// No warm-up, on purpose: what a first request costs is what is measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct ColdStart;

impl WarmupPolicy for ColdStart {
    fn next(&mut self, _: &[Trial]) -> Result<Warmup> {
        Ok(Warmup::Done("cold start, as asked".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warmup::fixtures::{drive, lasting};

    #[test]
    fn five_runs_of_two_tokens_by_default() {
        let runs = drive(&mut FixedCount::default(), &lasting(&[0.1; 9]));
        assert_eq!(runs, Some(5));
        let first = FixedCount::default().next(&[]);
        assert!(matches!(first, Ok(Warmup::Run { request: None, max_new_tokens: Some(2) })));
    }

    #[test]
    fn a_cold_start_runs_nothing() {
        assert_eq!(drive(&mut ColdStart, &[]), Some(0));
    }
}
