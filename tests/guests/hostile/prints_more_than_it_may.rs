//! Writes 15 MB to a stream at once, although the host permits 64 KiB.

use llem_sdk::prelude::*;
use test_guests::wasi::cli::stdout::get_stdout;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new(
        "prints-more-than-it-may",
        "0.1.0",
        "Writes 15 MB to a stream at once, though the host permits 64 KiB.",
    )
}

fn run() -> Result<()> {
    get_stdout().write(&vec![b'a'; 15 << 20]).map_err(|_| "stdout is closed")?;
    Err("it was taken".into())
}
