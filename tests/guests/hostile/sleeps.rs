//! Sleeps for 584 years, as a language runtime does.

use llem_sdk::prelude::*;
use test_guests::wasi::clocks::monotonic_clock::subscribe_duration;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("sleeps", "0.1.0", "Sleeps for 584 years, as a language runtime does.")
}

fn run() -> Result<()> {
    subscribe_duration(u64::MAX).block();
    Ok(())
}
