//! Writes empty log lines without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("floods-log-lines", "0.1.0", "Writes empty log lines without end.")
}

fn run() -> Result<()> {
    loop {
        report::log(Level::Debug, "");
    }
}
