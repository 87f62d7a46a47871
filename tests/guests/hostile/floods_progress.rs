//! Shows progress without end, under names of 100 kB.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("floods-progress", "0.1.0", "Shows progress without end.")
}

fn run() -> Result<()> {
    let label = "\x1b[2J\x07".repeat(20_000);
    for done in (0..=u64::MAX).rev() {
        report::show_progress(done, 3, &label);
    }
    Ok(())
}
