//! Clears the screen with its summary.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("plain", "0.1.0", "\x1b[2J\x1b]0;owned\x07 done")
}

fn run() -> Result<()> {
    Ok(())
}
