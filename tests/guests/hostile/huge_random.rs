//! Asks for a terabyte of random bytes.

use llem_sdk::prelude::*;
use test_guests::wasi::random::random::get_random_bytes;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("huge-random", "0.1.0", "Asks for a terabyte of random bytes.")
}

fn run() -> Result<()> {
    let bytes = get_random_bytes(1 << 40);
    Err(Error::from(format!("{} random bytes", bytes.len())))
}
