//! Runs requests of a model with known latencies, in static batches and in a continuous batch, and reports its own
//! clock before and after each.

use llem_sdk::{meter, prelude::*};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("request-clock", "0.1.0", "Serves requests whose latencies are known.")
        .integer("requests", 7, "how many of each kind")
        .integer("tokens", 6, "how many tokens each generates")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let (requests, tokens): (u32, u32) = (parameter("requests")?, parameter("tokens")?);
    let request = |label: &str| {
        Request::from_text("A prompt that has to be tokenized.")
            .label(label)
            .max_new_tokens(tokens)
            .ignore_eos()
    };
    let seen = |name: &str, began: u64| {
        let wall = Quantity::exact((meter::now() - began) as f64 * 1e-9, "s", Source::Clock);
        llem_sdk::report::add_metric(&wall.into_metric(name))
    };
    for _ in 0..requests {
        let began = meter::now();
        model.generate(&request("static"))?;
        seen("static_call", began)?;
    }
    let batch = model.open_batch(BatchOptions::new(2).max_tokens(64 + tokens))?;
    for index in 0..requests {
        let window = Window::open("batch")?;
        let began = meter::now();
        batch.submit(&request("batch"), None)?;
        if index % 2 == 0 {
            batch.drain()?;
        } else {
            while batch.step()?.ended.is_empty() {}
        }
        seen("batch_calls", began)?;
        window.close()?;
    }
    Ok(())
}
