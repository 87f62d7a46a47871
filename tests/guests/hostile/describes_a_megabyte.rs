//! Has a name, a version and a summary of 4 MB each.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    let long = "a".repeat(4 << 20);
    About::new(&long, &long, &long)
}

fn run() -> Result<()> {
    Ok(())
}
