//! Steps an empty batch and reads its status, without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("steps-an-empty-batch", "0.1.0", "Steps an empty batch without end.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let batch = model.open_batch(BatchOptions::new(1).max_tokens(16))?;
    loop {
        batch.step()?;
        batch.drain()?;
        batch.status();
    }
}
