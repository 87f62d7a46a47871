//! Warm-up until the latency is steady.

use crate::{
    Result,
    policy::{WarmupPolicy, WarmupStep},
    statistics::coefficient_of_variation,
    trial::Trial,
};

/// Warms up until the coefficient of variation (CV) of the last latencies falls below a threshold.
///
/// ```
/// use llem_sdk::{Completion, CvConvergence, Request, Trial, WarmupPolicy, WarmupStep};
///
/// // Trials that take these times, in ms.
/// let trials = |lengths: &[u64]| -> Vec<Trial> {
///     let trial = |ms: &u64| {
///         let completion = Completion::from_token_times(0, &[ms * 1_000_000]);
///         Trial::from_completions(0, Request::from_text("hello"), vec![completion])
///     };
///     lengths.iter().map(trial).collect()
/// };
/// let mut policy = CvConvergence { window: 3, ..CvConvergence::default() };
/// assert!(matches!(policy.next(&trials(&[30, 20, 10]))?, WarmupStep::Run { .. }));
/// assert!(matches!(policy.next(&trials(&[30, 10, 10, 10]))?, WarmupStep::Done(_)));
/// # Ok::<(), llem_sdk::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CvConvergence {
    /// The number of last latencies that the coefficient is computed of, at least 2: one latency has no spread.
    pub window: usize,
    /// The coefficient of variation (standard deviation divided by mean) below which latencies count as steady.
    pub threshold: f64,
    /// The maximum number of runs. After them the warm-up ends, and the record says that the latency was not steady.
    pub max_runs: usize,
    /// The maximum number of tokens that each run generates. `None` leaves the request as it is.
    pub max_new_tokens: Option<u32>,
}

impl Default for CvConvergence {
    fn default() -> Self {
        Self { window: 5, threshold: 0.05, max_runs: 50, max_new_tokens: None }
    }
}

impl WarmupPolicy for CvConvergence {
    fn next(&mut self, history: &[Trial]) -> Result<WarmupStep> {
        if history.len() >= self.window {
            let latencies: Vec<f64> =
                history[history.len() - self.window..].iter().map(Trial::seconds).collect();
            let cv = coefficient_of_variation(&latencies).unwrap_or(f64::INFINITY);
            if cv < self.threshold {
                return Ok(WarmupStep::Done(format!(
                    "CV of latency {cv:.4} after {} runs",
                    history.len()
                )));
            }
            if history.len() >= self.max_runs {
                return Ok(WarmupStep::Done(format!(
                    "not steady: CV of latency still {cv:.4} after {} runs",
                    history.len()
                )));
            }
        }
        Ok(WarmupStep::run_first(self.max_new_tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{runs_until_done, trials_lasting};

    #[test]
    fn falling_latencies_converge_once_they_are_flat() {
        let latencies = [3.0, 2.0, 1.5, 1.2, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        assert_eq!(
            runs_until_done(&mut CvConvergence::default(), &trials_lasting(&latencies)),
            Some(9)
        );
    }

    #[test]
    fn the_warm_up_ends_if_the_latency_never_settles() {
        let jumping: Vec<f64> = (0..60).map(|run| if run % 2 == 0 { 1.0 } else { 2.0 }).collect();
        assert_eq!(
            runs_until_done(&mut CvConvergence::default(), &trials_lasting(&jumping)),
            Some(50)
        );
    }
}
