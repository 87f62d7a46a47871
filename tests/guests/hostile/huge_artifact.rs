//! Writes a file of 140 MB in one call.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("huge-artifact", "0.1.0", "Writes a file of 140 MB.")
}

fn run() -> Result<()> {
    report::write_artifact("huge", &vec![0; 140 << 20])?;
    Ok(())
}
