//! Reports metrics of one letter without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("floods-metrics", "0.1.0", "Reports metrics without end.")
}

fn run() -> Result<()> {
    loop {
        report::add_metric(&Quantity::exact(1.0, "", Source::Counted).into_metric("m"))?;
    }
}
