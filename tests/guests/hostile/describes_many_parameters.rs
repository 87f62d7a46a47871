//! Declares 50,000 parameters.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    let plain = About::new("plain", "0.1.0", "Declares many parameters.");
    (0..50_000).fold(plain, |about, number| about.integer(&format!("p{number}"), 1, ""))
}

fn run() -> Result<()> {
    Ok(())
}
