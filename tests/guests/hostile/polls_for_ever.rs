//! Waits for the first of a thousand timers (pollables) that never fire.

use llem_sdk::prelude::*;
use test_guests::wasi::{clocks::monotonic_clock::subscribe_instant, io::poll::poll};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("polls-for-ever", "0.1.0", "Waits for one of a thousand moments that never come.")
}

fn run() -> Result<()> {
    let never: Vec<_> = (0..1000).map(|_| subscribe_instant(u64::MAX)).collect();
    poll(&never.iter().collect::<Vec<_>>());
    Ok(())
}
