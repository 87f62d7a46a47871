//! Writes files of a megabyte without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("fills-artifacts", "0.1.0", "Writes files of a megabyte without end.")
}

fn run() -> Result<()> {
    let content = vec![0; 1 << 20];
    for number in 0u64.. {
        report::write_artifact(&format!("a{number}"), &content)?;
    }
    Ok(())
}
