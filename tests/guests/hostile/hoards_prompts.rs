//! Submits 12,000 prompts of 7,000 tokens to a batch that runs one sequence at a time.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("hoards-prompts", "0.1.0", "Submits 12,000 long prompts.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let length = model.info().context_length.min(7000) as usize - 2;
    let batch = model.open_batch(BatchOptions::new(1))?;
    let request = Request::from_tokens(vec![1; length]).max_new_tokens(1);
    for _ in 0..12_000 * (7000 / length) {
        batch.submit(&request, None)?;
    }
    loop {
        batch.step()?;
    }
}
