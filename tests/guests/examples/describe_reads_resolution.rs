//! Reads the counters' resolution in `describe`, where the call is not allowed but has no error to return.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    let count = llem_sdk::meter::counter_resolution().len();
    About::new("describe-reads-resolution", "0.1.0", "Reads the meter in describe.").integer(
        "domains",
        count as i64,
        "how many there are",
    )
}

fn run() -> Result<()> {
    Ok(())
}
