//! Traps while sequences of a batch run and others wait.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("traps-in-a-batch", "0.1.0", "Ends itself in a batch.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let batch = model.open_batch(BatchOptions::new(2).max_tokens(64))?;
    for _ in 0..4 {
        batch.submit(&Request::from_tokens([1, 2]).ignore_eos().max_new_tokens(50), None)?;
    }
    for _ in 0..5 {
        batch.step()?;
    }
    std::process::abort()
}
