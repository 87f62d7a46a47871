//! Generates from token ids in its parameters, in static batches or in continuous ones.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("given-tokens", "0.1.0", "Generates from token ids that it is given.")
        .text("prompt", "1,2,3", "token ids, separated by commas")
        .integer("new-tokens", 12, "tokens to generate")
        .number("temperature", 0.0, "0 takes the most likely token")
        .integer("requests", 1, "how often the same is asked for")
        .integer("warm-up", 0, "how often it is asked for before, in a phase of its own")
        .boolean("batch", false, "in a continuous batch")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let prompt: Vec<u32> = sizes("prompt")?.into_iter().map(|id| id as u32).collect();
    let new_tokens: u32 = parameter("new-tokens")?;
    let temperature: f64 = parameter("temperature")?;
    let sampling = Sampling::with_temperature(temperature as f32);
    let most = prompt.len() as u32 + new_tokens;
    let request = Request::from_tokens(prompt)
        .label("given")
        .max_new_tokens(new_tokens)
        .ignore_eos()
        .sampling(sampling);
    let in_batch: bool = parameter("batch")?;
    let generate = || -> Result<()> {
        if in_batch {
            let batch = model.open_batch(BatchOptions::new(2).max_tokens(most))?;
            batch.submit(&request, None)?;
            batch.drain()?;
        } else {
            model.generate(&request)?;
        }
        Ok(())
    };
    let warm_up = Phase::begin("warmup")?;
    for _ in 0..parameter::<u32>("warm-up")? {
        generate()?;
    }
    Phase::end(warm_up)?;
    for _ in 0..parameter::<u32>("requests")? {
        generate()?;
    }
    Ok(())
}
