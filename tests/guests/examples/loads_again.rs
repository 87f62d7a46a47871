//! Loads the model and drops it, again and again, with and without an open batch.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("loads-again", "0.1.0", "Loads the model and lets go of it, again and again.")
        .integer("rounds", 20, "how often")
        .boolean("batch", false, "whether a batch of the model is open meanwhile")
}

fn run() -> Result<()> {
    for _ in 0..parameter::<u64>("rounds")? {
        let model = Model::load_granted()?;
        if parameter("batch")? {
            let batch = model.open_batch(BatchOptions::new(1).max_tokens(16))?;
            drop(model);
            // The model is freed with the last owner.
            batch
                .submit(&Request::from_tokens([1, 2, 3]).label("batch").max_new_tokens(2), None)?;
            let window = Window::open("steps")?;
            let ended = batch.drain()?;
            if ended.len() != 1 || window.close()?.devices_used != 1 {
                return Err("a batch outlives the script's handle of its model".into());
            }
        }
    }
    Ok(())
}
