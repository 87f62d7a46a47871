//! Exports a warm-up policy only.

use llem_sdk::prelude::*;

llem_sdk::warmup!(Thrice);

#[derive(Default)]
struct Thrice;

impl Describe for Thrice {
    fn about() -> About {
        About::new("thrice", "0.1.0", "Three short runs.").integer("warmup-runs", 3, "how many")
    }
}

impl WarmupPolicy for Thrice {
    fn next(&mut self, history: &[Trial]) -> Result<WarmupStep> {
        FixedCount { runs: parameter("warmup-runs")?, max_new_tokens: Some(2) }.next(history)
    }
}
