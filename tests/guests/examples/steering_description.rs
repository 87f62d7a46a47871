//! Describes itself with characters that control a terminal.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

/// A text that sets the title, clears the screen, sets a colour, runs backwards, and imitates a line of the host.
const STEERING: &str =
    "told\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{7f}\u{202e}\u{2066}\u{200b}\r\n\tfaked";

fn about() -> About {
    About::new(STEERING, STEERING, STEERING)
        .text(STEERING, STEERING, STEERING)
        .dataset(STEERING, STEERING)
}

fn run() -> Result<()> {
    Ok(())
}
