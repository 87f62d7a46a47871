//! Sends prompts of one length at random times.

use llem_sdk::prelude::*;

llem_sdk::workload!(PoissonPrompts);

/// Requests that arrive as a Poisson process, in a continuous batch.
#[derive(Default)]
struct PoissonPrompts {
    /// The requests with their times. `None` before the workload begins.
    timed: Option<TimedWorkload<RequestList>>,
}

impl Describe for PoissonPrompts {
    fn about() -> About {
        About::new(
            "first-workload",
            "0.1.0",
            "Sends prompts of one length at random times",
        )
        .integer("requests", 20, "how many prompts are sent")
        .number("rate", 10.0, "requests a second, on average")
        .integer("new-tokens", 16, "tokens generated for each prompt")
        .integer("max-sequences", 8, "sequences that run at the same time")
    }
}

impl WorkloadPolicy for PoissonPrompts {
    fn begin(&mut self, model: &ModelInfo) -> Result<Schedule> {
        let request = Request::from_text("The quick brown fox jumps over the lazy dog. ")
            .label("fox")
            .max_new_tokens(parameter("new-tokens")?)
            .ignore_eos();
        let requests = RequestList::new([request]).rounds(parameter("requests")?);
        let options = BatchOptions::new(parameter("max-sequences")?);
        let timed = Arrivals::poisson(parameter("rate")?).apply_to(requests, options);
        self.timed.insert(timed).begin(model)
    }

    fn next(&mut self, last: Option<&Trial>) -> Result<Option<Request>> {
        let timed = self.timed.as_mut().ok_or("the workload has not begun")?;
        timed.next(last)
    }
}
