//! Reports curves without points, and without end.

use llem_sdk::{prelude::*, report::Series};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("floods-series", "0.1.0", "Reports curves without points.")
}

fn run() -> Result<()> {
    let axis = ("a".to_owned(), String::new());
    let series = Series { name: "s".into(), x: axis.clone(), y: axis, points: Vec::new() };
    loop {
        report::add_series(&series)?;
    }
}
