//! Warm-up until latency is steady.

use crate::{
    Result,
    interval::coefficient_of_variation,
    policy::{Warmup, WarmupPolicy},
    trial::Trial,
};

/// Runs until the coefficient of variation of the last latencies falls below a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CvConvergence {
    /// Latencies that are looked at.
    pub window: usize,
    /// Standard deviation over mean that counts as steady.
    pub threshold: f64,
    /// Gives up, saying so, after this many runs.
    pub most_runs: usize,
    /// Tokens that each run generates at most; none leaves the request as it is.
    pub max_new_tokens: Option<u32>,
}

impl Default for CvConvergence {
    fn default() -> Self {
        Self { window: 5, threshold: 0.05, most_runs: 50, max_new_tokens: None }
    }
}

impl WarmupPolicy for CvConvergence {
    fn next(&mut self, history: &[Trial]) -> Result<Warmup> {
        if history.len() >= self.window {
            let latencies: Vec<f64> =
                history[history.len() - self.window..].iter().map(Trial::seconds).collect();
            let cv = coefficient_of_variation(&latencies);
            if cv < self.threshold {
                return Ok(Warmup::Done(format!(
                    "CV of latency {cv:.4} after {} runs",
                    history.len()
                )));
            }
            if history.len() >= self.most_runs {
                return Ok(Warmup::Done(format!(
                    "not steady: CV of latency still {cv:.4} after {} runs",
                    history.len()
                )));
            }
        }
        Ok(Warmup::reduced(self.max_new_tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warmup::fixtures::{drive, lasting};

    #[test]
    fn falling_latencies_converge_once_they_are_flat() {
        let latencies = [3.0, 2.0, 1.5, 1.2, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        assert_eq!(drive(&mut CvConvergence::default(), &lasting(&latencies)), Some(9));
    }

    #[test]
    fn an_unsteady_machine_is_given_up() {
        let jumping: Vec<f64> = (0..60).map(|run| if run % 2 == 0 { 1.0 } else { 2.0 }).collect();
        assert_eq!(drive(&mut CvConvergence::default(), &lasting(&jumping)), Some(50));
    }
}
