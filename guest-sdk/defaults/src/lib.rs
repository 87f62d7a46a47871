//! The policies that stand in for those that are not given: a warm-up by count, requests of one fixed prompt, and the
//! usual metrics.

mod metrics;

use llem_sdk::prelude::*;
use metrics::Usual;

llem_sdk::warmup!(Count);
llem_sdk::workload!(FixedPrompt);
llem_sdk::metrics!(Usual);

/// Short runs of the first request. A count gives the same requests on every machine.
#[derive(Default)]
struct Count;

impl Describe for Count {
    fn about() -> About {
        let runs = FixedCount::default().runs as i64;
        About::new("count", env!("CARGO_PKG_VERSION"), "Runs the first request a few times")
            .integer("warmup-runs", runs, "short runs before anything is measured")
    }
}

impl WarmupPolicy for Count {
    fn next(&mut self, history: &[Trial]) -> Result<Warmup> {
        FixedCount { runs: parameter("warmup-runs")?, ..FixedCount::default() }.next(history)
    }
}

/// The token ids of the prompt, again and again: every vocabulary has them, and no family here ends a sequence with one.
const TOKENS: std::ops::Range<u32> = 10..100;

/// The same request again and again.
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

impl Workload for FixedPrompt {
    fn next(&mut self, last: Option<&Trial>) -> Result<Option<Request>> {
        let index = last.map_or(0, |last| last.index + 1);
        if index >= parameter("requests")? {
            return Ok(None);
        }
        let length: usize = parameter("prompt-tokens")?;
        let tokens: Vec<u32> = TOKENS.cycle().take(length).collect();
        let request = Request::tokens(tokens).label(format!("{length} tokens"));
        Ok(Some(request.max_new_tokens(parameter("new-tokens")?).ignore_eos()))
    }
}
