//! Begins 3,000 phases, each within the one before.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("nests-phases", "0.1.0", "Begins 3,000 phases within one another.")
}

fn run() -> Result<()> {
    let name = "n".repeat(100);
    let mut phases = Vec::new();
    for _ in 0..3000 {
        phases.push(Phase::begin(&name)?);
    }
    Ok(())
}
