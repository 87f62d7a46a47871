//! Reads a clock without end.

use llem_sdk::prelude::*;
use test_guests::wasi::clocks::monotonic_clock::now;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("spins-in-wasi", "0.1.0", "Asks a clock what time it is, without end.")
}

fn run() -> Result<()> {
    loop {
        std::hint::black_box(now());
    }
}
