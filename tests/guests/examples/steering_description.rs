//! Describes itself with characters that would steer a terminal.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

/// A title, a cleared screen, a colour, a text that runs backwards, and a line that pretends to be the program's.
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
