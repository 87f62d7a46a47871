//! Makes every call in `describe` that belongs to `run`, and logs the result of each.

use llem_sdk::{
    bindings::{devices, inputs, meter, report, types},
    prelude::{About, Level, Model, Quantity, Request, Result, Source, parameter},
};
use std::cell::Cell;

llem_sdk::experiment!(about, run);

thread_local! {
    static HAS_DESCRIBED: Cell<bool> = const { Cell::new(false) };
}

fn about() -> About {
    HAS_DESCRIBED.set(true);
    log_result("devices.find-device", devices::find_device("cpu"));
    log_result("meter.window.open", meter::Window::open("in describe"));
    log_result("meter.baseline.measure", meter::Baseline::measure(100_000_000));
    log_result(
        "meter.baseline.recall-or-measure",
        meter::Baseline::recall_or_measure(100_000_000, 0),
    );
    log_result(
        "meter.wait-until-power-steady",
        meter::wait_until_power_steady(None, 1.0, 60_000_000_000),
    );
    log_result(
        "meter.wait-until-temperature-steady",
        meter::wait_until_temperature_steady(None, 1.0, 60_000_000_000),
    );
    log_result("report.phase.begin", report::Phase::begin("from-describe"));
    log_result("report.add-metric", {
        let one = Quantity::exact(1.0, "1", Source::Counted).into_metric("from_describe");
        report::add_metric(&report::Metric::from(&one))
    });
    log_result("report.add-series", {
        let axis = || (String::new(), String::new());
        let (name, points) = ("from_describe".to_owned(), vec![(0.0, 1.0)]);
        report::add_series(&report::Series { name, x: axis(), y: axis(), points })
    });
    log_result("report.add-table", {
        let (name, columns) = ("from_describe".to_owned(), vec!["a".to_owned()]);
        report::add_table(&report::Table { name, columns, rows: vec![vec!["b".to_owned()]] })
    });
    log_result("report.write-artifact", report::write_artifact("from-describe.txt", b"text"));
    log_result("inputs.parameter", inputs::parameter("tokens"));
    log_result("inputs.dataset.open", inputs::Dataset::open("rows"));
    report::show_progress(u64::MAX, u64::MAX, "in describe");
    report::log(Level::Info, "logged by describe");
    report::warn("warned by describe");
    About::new("describes", "0.1.0", "Does in describe what belongs to run.")
        .integer("tokens", 4, "tokens to generate")
        .dataset("rows", "not read")
}

fn log_result<T>(call: &str, answer: Result<T, types::Error>) {
    let answer = match answer {
        Ok(_) => "was done".to_owned(),
        Err(types::Error { code: types::ErrorCode::NotGranted, message }) => {
            format!("not-granted: {message}")
        }
        Err(other) => format!("another code: {other:?}"),
    };
    report::log(Level::Debug, &format!("{call}: {answer}"));
}

fn run() -> Result<()> {
    if HAS_DESCRIBED.get() {
        return Err("run is in the instance that has described".into());
    }
    let model = Model::load_granted()?;
    let _phase = report::Phase::begin("measure")?;
    let request =
        Request::from_tokens([1, 2, 3]).label("in run").max_new_tokens(parameter("tokens")?);
    model.generate(&request.ignore_eos())?;
    Ok(())
}
