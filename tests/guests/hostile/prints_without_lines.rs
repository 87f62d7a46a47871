//! Prints without end and without a line break.

use llem_sdk::prelude::*;
use test_guests::wasi::cli::stdout::get_stdout;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("prints-without-lines", "0.1.0", "Prints without end, and ends no line.")
}

fn run() -> Result<()> {
    let stdout = get_stdout();
    loop {
        stdout.blocking_write_and_flush(&[b'a'; 4096]).map_err(|_| "stdout is closed")?;
    }
}
