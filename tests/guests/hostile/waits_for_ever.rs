//! Waits for 584 years.

use llem_sdk::{meter::sleep_until, prelude::*};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("waits-for-ever", "0.1.0", "Waits for 584 years.")
}

fn run() -> Result<()> {
    sleep_until(u64::MAX);
    Ok(())
}
