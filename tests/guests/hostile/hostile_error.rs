//! Fails with a message of a megabyte that clears the screen.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("hostile-error", "0.1.0", "Ends with a sentence that clears the screen.")
}

fn run() -> Result<()> {
    Err(Error::from(format!("gone\x1b[2J\x1b]0;owned\x07\nerror: \u{202e}{}", "e".repeat(1 << 20))))
}
