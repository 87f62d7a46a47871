//! Does nothing.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("noop", "0.1.0", "Does nothing.")
}

fn run() -> Result<()> {
    Ok(())
}
