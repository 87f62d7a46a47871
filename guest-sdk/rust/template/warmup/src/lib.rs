//! Warms up until the times to first token of the last runs agree.

use llem_sdk::prelude::*;
use llem_sdk::statistics::coefficient_of_variation;

llem_sdk::warmup!(SteadyTtft);

/// Runs the workload's first request until the coefficient of variation of the last times to first token is low.
#[derive(Default)]
struct SteadyTtft;

impl Describe for SteadyTtft {
    fn about() -> About {
        About::new(
            "first-warmup",
            "0.1.0",
            "Warms up until times to first token agree",
        )
        .integer("window", 3, "how many of the last runs must agree")
        .number("spread", 0.05, "their highest coefficient of variation")
        .integer("max-runs", 20, "runs after which the warm-up ends anyway")
    }
}

impl WarmupPolicy for SteadyTtft {
    fn next(&mut self, history: &[Trial]) -> Result<WarmupStep> {
        let (window, max_runs): (usize, usize) = (parameter("window")?, parameter("max-runs")?);
        let (runs, highest) = (history.len(), parameter("spread")?);
        if runs >= window {
            let last = &history[runs - window..];
            let ttft: Vec<f64> = last.iter().flat_map(Trial::ttft).collect();
            if coefficient_of_variation(&ttft).is_some_and(|spread| spread <= highest) {
                return Ok(WarmupStep::Done(format!("steady after {runs} runs")));
            }
        }
        if runs >= max_runs {
            return Ok(WarmupStep::Done(format!("not steady after {runs} runs")));
        }
        Ok(WarmupStep::run_first(Some(1)))
    }
}
