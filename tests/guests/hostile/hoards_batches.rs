//! Opens batches without end and keeps them.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("hoards-batches", "0.1.0", "Opens batches without end.")
}

fn run() -> Result<()> {
    let model = Model::granted()?;
    let mut batches = Vec::new();
    loop {
        batches.push(model.open_batch(BatchOptions::sequences(1).max_tokens(16))?);
    }
}
