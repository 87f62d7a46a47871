//! Writes log lines in `describe` without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    loop {
        report::log(Level::Debug, "");
    }
}

fn run() -> Result<()> {
    Ok(())
}
