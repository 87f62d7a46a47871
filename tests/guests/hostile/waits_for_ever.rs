//! Waits for 584 years.

use llem_sdk::{
    meter::{Condition, wait_until},
    prelude::*,
};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("waits-for-ever", "0.1.0", "Waits for 584 years.")
}

fn run() -> Result<()> {
    wait_until(&Condition::Elapsed(u64::MAX), u64::MAX)?;
    Ok(())
}
