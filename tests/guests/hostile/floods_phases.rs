//! Begins and ends phases without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("floods-phases", "0.1.0", "Begins and ends phases without end.")
}

fn run() -> Result<()> {
    for number in 0u64.. {
        Phase::end(Phase::begin(&format!("phase {number}"))?)?;
    }
    Ok(())
}
