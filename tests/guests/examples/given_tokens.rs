//! Generates from token ids that it is given, as a static batch or in a continuous one.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("given-tokens", "0.1.0", "Generates from token ids that it is given.")
        .text("prompt", "1,2,3", "token ids, separated by commas")
        .integer("new-tokens", 12, "tokens to generate")
        .boolean("batch", false, "in a continuous batch")
}

fn run() -> Result<()> {
    let model = Model::granted()?;
    let prompt: Vec<u32> = sizes("prompt")?.into_iter().map(|id| id as u32).collect();
    let request = Request::tokens(prompt)
        .label("given")
        .max_new_tokens(parameter("new-tokens")?)
        .ignore_eos();
    if parameter("batch")? {
        let batch = model.open_batch(BatchOptions::sequences(2).max_tokens(64))?;
        batch.submit(&request, None)?;
        batch.drain()?;
    } else {
        model.generate(&request)?;
    }
    Ok(())
}
