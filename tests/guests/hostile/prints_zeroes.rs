//! Writes more zeroes to a stream than memory can hold.

use llem_sdk::prelude::*;
use test_guests::wasi::cli::stdout::get_stdout;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("prints-zeroes", "0.1.0", "Writes more zeroes than there is memory.")
}

fn run() -> Result<()> {
    get_stdout().write_zeroes(u64::MAX).map_err(|_| "stdout is closed")?;
    Err("they were taken".into())
}
