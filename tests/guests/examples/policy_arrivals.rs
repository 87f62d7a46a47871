//! Exports a workload whose requests arrive by a Poisson process or in a closed loop.

use llem_sdk::{TimedWorkload, prelude::*};

llem_sdk::workload!(Timed);

/// The workload. It is created in `begin`, because parameters cannot be read before.
#[derive(Default)]
struct Timed(Option<TimedWorkload<RequestList>>);

impl Describe for Timed {
    fn about() -> About {
        About::new("timed", "0.1.0", "Requests that arrive on their own.")
            .number("rate", 100.0, "arrivals a second; 0 for a closed loop")
            .integer("concurrency", 2, "requests under way at a time, in a closed loop")
            .integer("count", 12, "how many requests")
            .integer("prompts", 1, "prompts of each request")
    }
}

impl WorkloadPolicy for Timed {
    fn begin(&mut self, model: &ModelInfo) -> Result<Schedule> {
        let (rate, count): (f64, u32) = (parameter("rate")?, parameter("count")?);
        let prompts: u32 = parameter("prompts")?;
        let requests = (0..count).map(|index| {
            let prompts = (0..prompts).map(|prompt| Prompt::Tokens(vec![1 + index + prompt; 8]));
            Request::from_prompts(prompts).label("timed").max_new_tokens(6).ignore_eos()
        });
        let arrivals = match rate > 0.0 {
            true => Arrivals::poisson(rate),
            false => Arrivals::closed_loop(parameter("concurrency")?),
        };
        let options = BatchOptions::new(4).max_tokens(32);
        self.0.insert(arrivals.apply_to(RequestList::new(requests), options)).begin(model)
    }

    fn next(&mut self, last: Option<&Trial>) -> Result<Option<Request>> {
        // A trial of a continuous batch has completions, but no generation.
        if let Some(last) = last
            && (last.generation().is_ok() || last.completions().len() != last.request.prompts.len())
        {
            return Err("a trial of a batch is not what it should be".into());
        }
        self.0.as_mut().map_or_else(|| Err("it has not begun".into()), |timed| timed.next(last))
    }
}
