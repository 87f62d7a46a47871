//! Submits a sequence and cancels it, without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("cancels-without-end", "0.1.0", "Submits and cancels without end.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let batch = model.open_batch(BatchOptions::new(1).max_tokens(16))?;
    let request = Request::from_tokens([1]).label("").max_new_tokens(1);
    loop {
        for sequence in batch.submit(&request, None)? {
            batch.cancel(sequence)?;
        }
        batch.step()?;
    }
}
