//! A workload whose requests arrive on their own, or one of a closed loop.

use llem_sdk::{arrivals::Arriving, prelude::*};

llem_sdk::workload!(Timed);

/// Made when it begins, once its parameters can be read.
#[derive(Default)]
struct Timed(Option<Arriving<Requests>>);

impl Describe for Timed {
    fn about() -> About {
        About::new("timed", "0.1.0", "Requests that arrive on their own.")
            .number("rate", 100.0, "arrivals a second; 0 for a closed loop")
            .integer("concurrency", 2, "requests under way at a time, in a closed loop")
            .integer("count", 12, "how many requests")
            .integer("prompts", 1, "prompts of each request")
    }
}

impl Workload for Timed {
    fn begin(&mut self, model: &ModelInfo) -> Result<Schedule> {
        let (rate, count): (f64, u32) = (parameter("rate")?, parameter("count")?);
        let prompts: u32 = parameter("prompts")?;
        let requests = (0..count).map(|index| {
            let prompts = (0..prompts).map(|prompt| Prompt::Tokens(vec![1 + index + prompt; 8]));
            Request::of(prompts).label("timed").max_new_tokens(6).ignore_eos()
        });
        let arrivals = match rate > 0.0 {
            true => Arrivals::poisson(rate),
            false => Arrivals::closed_loop(parameter("concurrency")?),
        };
        let options = BatchOptions::sequences(4).max_tokens(32);
        self.0.insert(arrivals.of(Requests::new(requests), options)).begin(model)
    }

    fn next(&mut self, last: Option<&Trial>) -> Result<Option<Request>> {
        // A trial of a batch has completions, and nothing of a request that ran alone.
        if let Some(last) = last
            && (last.generation().is_ok() || last.completions().len() != last.request.prompts.len())
        {
            return Err("a trial of a batch is not what it should be".into());
        }
        self.0.as_mut().map_or_else(|| Err("it has not begun".into()), |timed| timed.next(last))
    }
}
