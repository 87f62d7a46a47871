//! Describes itself with a path as its name.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("../../evil", "0.1.0", "Has a path for a name.")
}

fn run() -> Result<()> {
    Ok(())
}
