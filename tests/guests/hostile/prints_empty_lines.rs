//! Prints empty lines without end.

use llem_sdk::prelude::*;
use test_guests::wasi::cli::stdout::get_stdout;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("prints-empty-lines", "0.1.0", "Prints empty lines without end.")
}

fn run() -> Result<()> {
    let stdout = get_stdout();
    loop {
        stdout.blocking_write_and_flush(&[b'\n'; 4096]).map_err(|_| "stdout is closed")?;
    }
}
