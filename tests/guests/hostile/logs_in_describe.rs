//! Writes log lines of 15 MB in `describe`, without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    let long = "w".repeat(15 << 20);
    loop {
        report::log(Level::Error, &long);
    }
}

fn run() -> Result<()> {
    Ok(())
}
