//! Reports empty warnings without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("floods-warnings", "0.1.0", "Warns of nothing without end.")
}

fn run() -> Result<()> {
    loop {
        report::warn("");
    }
}
