//! Makes every call in a way that must be refused, and goes on without end.

use llem_sdk::{
    bindings::inputs::{self, Dataset},
    engine::{LoadOptions, ScoreRequest},
    meter::{Condition, measure_baseline, wait_until},
    prelude::*,
    report::Table,
};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("ignores-errors", "0.1.0", "Is refused, and goes on without end.")
}

fn run() -> Result<()> {
    let model = Model::granted()?;
    loop {
        let options = LoadOptions {
            source: Some("org/other".to_owned()),
            dtype: None,
            device: None,
            parallelism: None,
            seed: None,
        };
        drop(Model::load(&options));
        drop(model.generate(&Request::tokens([])));
        drop(model.open_batch(BatchOptions::sequences(0)));
        drop(model.attach_adapter("org/other"));
        drop(model.merge_adapter("none"));
        drop(model.score(&[ScoreRequest { context: Vec::new(), continuation: Vec::new() }]));
        drop(measure_baseline(0));
        drop(wait_until(&Condition::Elapsed(1), 0));
        drop(inputs::parameter("none"));
        drop(Dataset::open("none"));
        drop(Phase::begin(""));
        drop(report::write_artifact("..", &[]));
        drop(report::add_metric(&Quantity::exact(f64::NAN, "J", Source::Derived).named("m")));
        let (columns, rows) = (Vec::new(), vec![vec![String::new()]]);
        drop(report::add_table(&Table { name: "t".to_owned(), columns, rows }));
    }
}
