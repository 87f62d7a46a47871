//! The default policies, which the host uses for policies that the user does not give.
//!
//! - `CountWarmup`: a fixed number of short runs.
//! - `FixedPrompt`: requests with one synthetic prompt.
//! - `StandardMetrics`: latencies, rates, and energy per token.

mod standard_metrics;

use llem_sdk::prelude::*;
use standard_metrics::StandardMetrics;

llem_sdk::warmup!(CountWarmup);
llem_sdk::workload!(FixedPrompt);
llem_sdk::metrics!(StandardMetrics);

/// Warms up with a number of short runs of the first request. A count gives the same requests on every machine.
#[derive(Default)]
struct CountWarmup;

impl Describe for CountWarmup {
    fn about() -> About {
        let runs = FixedCount::default().runs as i64;
        About::new("count", env!("CARGO_PKG_VERSION"), "Runs the first request a few times")
            .integer("warmup-runs", runs, "short runs before anything is measured")
    }
}

impl WarmupPolicy for CountWarmup {
    fn next(&mut self, history: &[Trial]) -> Result<WarmupStep> {
        FixedCount { runs: parameter("warmup-runs")?, ..FixedCount::default() }.next(history)
    }
}

/// The token ids of the prompt, which are repeated. Every vocabulary has them, and no model family here ends a sequence
/// with one of them.
const TOKENS: std::ops::Range<u32> = 10..100;

/// A workload that repeats one request.
#[derive(Default)]
struct FixedPrompt;

impl Describe for FixedPrompt {
    fn about() -> About {
        About::new("fixed-prompt", env!("CARGO_PKG_VERSION"), "Repeats one synthetic prompt")
            .integer("prompt-tokens", 64, "length of the prompt")
            .integer("new-tokens", 32, "tokens generated, end-of-sequence tokens ignored")
            .integer("requests", 10, "how often it is asked")
    }
}

impl WorkloadPolicy for FixedPrompt {
    fn next(&mut self, last: Option<&Trial>) -> Result<Option<Request>> {
        let index = last.map_or(0, |last| last.index + 1);
        if index >= parameter("requests")? {
            return Ok(None);
        }
        let length: usize = parameter("prompt-tokens")?;
        let tokens: Vec<u32> = TOKENS.cycle().take(length).collect();
        let request = Request::from_tokens(tokens).label(format!("{length} tokens"));
        Ok(Some(request.max_new_tokens(parameter("new-tokens")?).ignore_eos()))
    }
}
