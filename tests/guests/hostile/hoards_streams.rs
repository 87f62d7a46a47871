//! Opens standard output without end and keeps every handle.

use llem_sdk::prelude::*;
use test_guests::wasi::cli::stdout::get_stdout;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new(
        "hoards-streams",
        "0.1.0",
        "Takes standard output without end, and keeps every handle.",
    )
}

fn run() -> Result<()> {
    let mut streams = Vec::new();
    loop {
        streams.push(get_stdout());
    }
}
