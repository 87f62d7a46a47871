//! Lists devices in `describe`, where the call is not allowed but has no error to return.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    let count = llem_sdk::devices::list_devices().len();
    About::new("describe-lists-devices", "0.1.0", "Lists devices in describe.").integer(
        "devices",
        count as i64,
        "how many there are",
    )
}

fn run() -> Result<()> {
    Ok(())
}
