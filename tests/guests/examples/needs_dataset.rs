//! Reads a dataset that it did not require.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("needs-dataset", "0.1.0", "Reads a dataset that it did not require.")
        .dataset("prompts", "rows that are counted")
}

fn run() -> Result<()> {
    let count = rows("prompts")?.count();
    report::log(Level::Info, &format!("{count} rows"));
    Ok(())
}
