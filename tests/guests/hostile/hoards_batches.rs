//! Opens batches without end and keeps them.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("hoards-batches", "0.1.0", "Opens batches without end.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let mut batches = Vec::new();
    loop {
        batches.push(model.open_batch(BatchOptions::new(1).max_tokens(16))?);
    }
}
