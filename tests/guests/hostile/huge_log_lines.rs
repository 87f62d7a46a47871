//! Writes log lines and warnings of 15 MB without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("huge-log-lines", "0.1.0", "Writes log lines of 15 MB.")
}

fn run() -> Result<()> {
    let long = "w".repeat(15 << 20);
    loop {
        report::log(Level::Error, &long);
        report::warn(&long);
    }
}
