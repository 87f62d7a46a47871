//! Writes without end through the labels of its requests.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("long-labels", "0.1.0", "Writes without end through labels.")
}

fn run() -> Result<()> {
    let model = Model::granted()?;
    for _ in 0..100 {
        model.generate(&Request::tokens([1]).label("l".repeat(100_000)).max_new_tokens(1))?;
    }
    Ok(())
}
