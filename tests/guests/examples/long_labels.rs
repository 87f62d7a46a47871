//! Gives a request a label of 100 kB.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("long-labels", "0.1.0", "Gives a long label.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    model.generate(&Request::from_tokens([1]).label("l".repeat(100_000)).max_new_tokens(1))?;
    Ok(())
}
