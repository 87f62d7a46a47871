//! Writes empty files without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("floods-artifacts", "0.1.0", "Writes empty files without end.")
}

fn run() -> Result<()> {
    for number in 0u64.. {
        report::write_artifact(&format!("a{number}"), &[])?;
    }
    Ok(())
}
