//! Makes every call in a way that must be refused, and goes on without end.

use llem_sdk::{
    bindings::inputs, completion::ScoreRequest, inputs::Dataset, meter::Baseline, prelude::*,
    report::Table, rest::until_power_is_steady,
};
use std::time::Duration;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("ignores-errors", "0.1.0", "Is refused, and goes on without end.")
}

fn run() -> Result<()> {
    let model = Model::granted()?;
    loop {
        drop(Model::named("org/other"));
        drop(model.generate(&Request::tokens([])));
        drop(model.open_batch(BatchOptions::sequences(0)));
        drop(model.attach_adapter("org/other"));
        drop(model.merge_adapter("none"));
        drop(model.score(&[ScoreRequest { context: Vec::new(), continuation: Vec::new() }]));
        drop(Baseline::measure(Duration::ZERO));
        drop(until_power_is_steady(None, -1.0, Duration::ZERO));
        drop(inputs::parameter("none"));
        drop(Dataset::open("none"));
        drop(Phase::begin(""));
        drop(report::write_artifact("..", &[]));
        drop(report::add_metric(&Quantity::exact(f64::NAN, "J", Source::Derived).named("m")));
        let (columns, rows) = (Vec::new(), vec![vec![String::new()]]);
        drop(report::add_table(&Table { name: "t".to_owned(), columns, rows }));
    }
}
