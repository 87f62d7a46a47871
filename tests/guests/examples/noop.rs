//! Does nothing.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("noop", "0.1.0", "Does nothing.").dataset("unread", "rows that nobody reads")
}

fn run() -> Result<()> {
    Ok(())
}
