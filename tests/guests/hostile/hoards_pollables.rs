//! Creates timers (pollables) without end and keeps them.

use llem_sdk::prelude::*;
use test_guests::wasi::clocks::monotonic_clock::subscribe_duration;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new(
        "hoards-pollables",
        "0.1.0",
        "Makes moments to wait for without end, and keeps them.",
    )
}

fn run() -> Result<()> {
    let mut pollables = Vec::new();
    loop {
        pollables.push(subscribe_duration(u64::MAX));
    }
}
