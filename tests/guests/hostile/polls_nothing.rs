//! Polls an empty list of pollables.

use llem_sdk::prelude::*;
use test_guests::wasi::io::poll::poll;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("polls-nothing", "0.1.0", "Waits for one of no moments at all.")
}

fn run() -> Result<()> {
    poll(&[]);
    Ok(())
}
