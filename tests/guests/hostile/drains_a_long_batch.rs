//! Drains a batch of eight sequences, each nearly as long as the context.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("drains-a-long-batch", "0.1.0", "Drains eight long sequences.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let most = model.info().context_length.min(2000) - 2;
    let batch = model.open_batch(BatchOptions::new(8))?;
    for _ in 0..8 {
        batch.submit(&Request::from_tokens([1]).ignore_eos().max_new_tokens(most), None)?;
    }
    batch.drain()?;
    Err("eight long sequences have ended: they were not long enough".into())
}
