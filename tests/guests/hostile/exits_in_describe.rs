//! Exits in `describe`.

use llem_sdk::prelude::*;
use test_guests::wasi::cli::exit::exit;

llem_sdk::experiment!(about, run);

fn about() -> About {
    exit(Ok(()));
    About::new("exits-in-describe", "0.1.0", "Ends the program.")
}

fn run() -> Result<()> {
    Ok(())
}
