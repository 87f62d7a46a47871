//! Makes every call in `describe` that belongs to `run`, and logs what became of each.

use llem_sdk::{
    bindings::{Level, inputs},
    devices, meter,
    prelude::*,
    types,
};
use std::cell::Cell;

llem_sdk::experiment!(about, run);

thread_local! {
    static HAS_DESCRIBED: Cell<bool> = const { Cell::new(false) };
}

fn about() -> About {
    HAS_DESCRIBED.set(true);
    tell("devices.read-state", devices::read_state("cpu"));
    tell("meter.window.open", Window::open("in describe"));
    tell("meter.measure-baseline", meter::measure_baseline(100_000_000));
    tell("meter.idle-baseline", meter::idle_baseline(100_000_000, 0));
    tell(
        "meter.wait-until",
        meter::wait_until(&meter::Condition::Elapsed(60_000_000_000), u64::MAX),
    );
    tell("report.phase.begin", Phase::begin("from-describe"));
    tell("report.add-metric", {
        report::add_metric(&Quantity::exact(1.0, "1", Source::Counted).named("from_describe"))
    });
    tell("report.add-series", {
        let axis = || (String::new(), String::new());
        let (name, points) = ("from_describe".to_owned(), vec![(0.0, 1.0)]);
        report::add_series(&report::Series { name, x: axis(), y: axis(), points })
    });
    tell("report.add-table", {
        let (name, columns) = ("from_describe".to_owned(), vec!["a".to_owned()]);
        report::add_table(&report::Table { name, columns, rows: vec![vec!["b".to_owned()]] })
    });
    tell("report.write-artifact", report::write_artifact("from-describe.txt", b"text"));
    tell("inputs.parameter", inputs::parameter("tokens"));
    tell("inputs.dataset.open", inputs::Dataset::open("rows").map(|_| ()));
    tell("engine.model.load", Model::granted().map(|_| ()));
    report::show_progress(u64::MAX, u64::MAX, "in describe");
    report::log(Level::Info, "logged by describe");
    report::warn("warned by describe");
    About::new("describes", "0.1.0", "Does in describe what belongs to run.")
        .integer("tokens", 4, "tokens to generate")
        .dataset("rows", "not read")
}

fn tell<T, E: Into<Refusal>>(call: &str, answer: Result<T, E>) {
    let answer = answer.map_or_else(|error| error.into().0, |_| "was done".to_owned());
    report::log(Level::Debug, &format!("{call}: {answer}"));
}

/// The case of an error, and its sentence.
struct Refusal(String);

impl From<types::Error> for Refusal {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::NotGranted(sentence) => Self(format!("not-granted: {sentence}")),
            other => Self(format!("another case: {other:?}")),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(format!("not-granted: {error}"))
    }
}

fn run() -> Result<()> {
    if HAS_DESCRIBED.get() {
        return Err("run is in the instance that has described".into());
    }
    let model = Model::granted()?;
    let _phase = Phase::begin("measure")?;
    let request = Request::tokens([1, 2, 3]).label("in run").max_new_tokens(parameter("tokens")?);
    model.generate(&request.ignore_eos())?;
    Ok(())
}
