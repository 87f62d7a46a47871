//! Writes log lines without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("wordy", "0.1.0", "Writes without end.")
}

fn run() -> Result<()> {
    loop {
        report::log(Level::Info, &"word ".repeat(1000));
    }
}
