//! Makes every call in a way that must be refused, and goes on without end.

use llem_sdk::{
    ScoreRequest, bindings::inputs, inputs::Dataset, meter::Baseline, prelude::*, report::Table,
    wait_until_power_steady,
};
use std::time::Duration;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("ignores-errors", "0.1.0", "Is refused, and goes on without end.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    loop {
        drop(Model::load_named("org/other"));
        drop(model.generate(&Request::from_tokens([])));
        drop(model.open_batch(BatchOptions::new(0)));
        drop(model.attach_adapter("org/other"));
        drop(model.merge_adapter("none"));
        drop(model.score(&[ScoreRequest { context: Vec::new(), continuation: Vec::new() }]));
        drop(Baseline::measure(Duration::ZERO));
        drop(wait_until_power_steady(None, -1.0, Duration::ZERO));
        drop(inputs::parameter("none"));
        drop(Dataset::open("none"));
        drop(Phase::begin(""));
        drop(report::write_artifact("..", &[]));
        drop(report::add_metric(&Quantity::exact(f64::NAN, "J", Source::Derived).into_metric("m")));
        let (columns, rows) = (Vec::new(), vec![vec![String::new()]]);
        drop(report::add_table(&Table { name: "t".to_owned(), columns, rows }));
    }
}
