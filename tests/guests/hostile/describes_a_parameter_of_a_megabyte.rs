//! Declares a parameter whose name has a megabyte.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("plain", "0.1.0", "Declares a long parameter.").integer(&"p".repeat(1 << 20), 1, "")
}

fn run() -> Result<()> {
    Ok(())
}
