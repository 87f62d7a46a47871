//! MLPerf LoadGen 6.0.17 as an experiment: its four scenarios, its random order of samples and arrivals, early stopping, the
//! verdict on a run, and its logs, on llem's engine and with llem's energy meters.
//!
//! ```text
//! parameters ─► settings ─► queries ─► system (llem's engine) ─┐
//!                (random)                 dataset `trace` ─────┴► results ─► verdict ─► logs, metrics
//! ```
//!
//! A result is not a result of MLPerf: see the README.

mod benchmarks;
mod date;
mod detail_log;
mod early_stopping;
mod metrics;
mod number_format;
mod parameters;
mod queries;
mod random;
mod results;
mod samples;
mod settings;
mod summary_log;
mod system;
mod trace;
mod verdict;

use crate::{
    date::Date,
    detail_log::DetailLog,
    parameters::{about, benchmark, new_tokens, requested},
    results::{Results, Run},
    samples::RandomPrompts,
    settings::{Scenario, Settings},
    system::System,
    verdict::Verdict,
};
use llem_sdk::{facts::run_began, meter::now, prelude::*};
use std::time::Duration;

llem_sdk::experiment!(about, run);

/// The version of LoadGen whose behaviour this has.
const LOADGEN: &str = "6.0.17";

fn run() -> Result<()> {
    let (benchmark, official) = (benchmark()?, parameter("official")?);
    let mut requested = requested(benchmark, official)?;
    let mut log = DetailLog::default();
    if let Some(mut run) = trace::read()? {
        let settings = Settings::new(requested, parameter("samples")?);
        run.note_single_tokens();
        begin_log(&mut log, "trace", "trace", &settings);
        return conclude(log, "trace", &run, &settings, None);
    }
    let model = Model::load_granted()?;
    let random =
        RandomPrompts { count: parameter("samples")?, length: parameter("prompt-tokens")? };
    let prompts = {
        let _phase = Phase::begin("load-samples")?;
        samples::read(&model, random)?
    };
    let Some(longest) = prompts.iter().map(Vec::len).max() else {
        return Err(Error::invalid_argument("there are no samples: set samples to 1 or more"));
    };
    let (least, most) = new_tokens(benchmark, official)?;
    let (max_sequences, samples_per_query) = match requested.scenario {
        Scenario::SingleStream => (1, 1),
        Scenario::MultiStream => (requested.samples_per_query as u32, requested.samples_per_query),
        Scenario::Server | Scenario::Offline => (parameter("max-sequences")?, 1),
    };
    let template = Request {
        min_new_tokens: least,
        max_new_tokens: most,
        ignore_eos: parameter("ignore-eos")?,
        ..Request::from_prompts([]).label(requested.scenario.to_string())
    };
    let options = BatchOptions::new(max_sequences).max_tokens(longest as u32 + most);
    let batch = model.open_batch(options)?;
    let system = System {
        batch: &batch,
        prompts: &prompts,
        template: &template,
        max_sequences: max_sequences as usize,
    };
    let latency = system.warm_up(parameter("warmup-runs")?, samples_per_query as usize)?;
    if let (Some(latency), false) = (latency, parameters::has_target_latency()?) {
        requested.expected_latency = latency as f64;
    }
    let settings = Settings::new(requested, prompts.len() as u64);
    let loaded = queries::loaded_samples(&settings);
    let (queries, duration) = queries::generate(&settings, &loaded);

    let name = model.info().source;
    begin_log(&mut log, &name, "samples", &settings);
    log.text("generic_message", "Starting performance mode");
    log.add("loaded_qsl_set", format!("{loaded:?}").replace(' ', ""));
    log.add("generated_query_count", queries.len());
    log.add("generated_samples_per_query", queries.first().map_or(0, |query| query.samples.len()));
    log.add("generated_query_duration", duration);
    let (run, window) = {
        let _phase = Phase::begin("measure")?;
        system.run(&queries, &settings)?
    };
    log.at(now());
    let began = |ns: u64| Date::new(run_began() + Duration::from_nanos(ns)).for_power();
    log.text("power_begin", &began(window.started));
    log.text("power_end", &began(window.started + window.wall_time));
    conclude(log, &name, &run, &settings, Some(&window))
}

/// Writes what is known before the test.
fn begin_log(log: &mut DetailLog, sut: &str, qsl: &str, settings: &Settings) {
    log.at(now());
    let version =
        format!("llem's mlperf-loadgen {}, after LoadGen {LOADGEN}", env!("CARGO_PKG_VERSION"));
    log.text("loadgen_version", &version);
    log.text("test_datetime", &Date::new(run_began()).iso_8601());
    log.text("sut_name", sut);
    log.text("qsl_name", qsl);
    log.add("qsl_reported_total_count", settings.total_sample_count);
    log.add("qsl_reported_performance_count", settings.total_sample_count);
    log.settings(settings);
}

/// Judges a run, and writes logs and metrics.
fn conclude(
    mut log: DetailLog,
    sut: &str,
    run: &Run,
    settings: &Settings,
    window: Option<&Measurement>,
) -> Result<()> {
    let results = Results::new(run, settings.scenario(), settings.requested.use_token_latencies);
    let verdict = Verdict::new(&results, settings);
    log.at(now());
    log.results(run, &results, &verdict, settings);
    let summary = summary_log::summary(sut, &results, &verdict, settings, log.errors());
    for error in &run.errors {
        report::warn(error);
    }
    report::log(Level::Info, &summary);
    report::write_artifact("mlperf_log_summary.txt", summary.as_bytes())?;
    report::write_artifact("mlperf_log_detail.txt", log.into_text().as_bytes())?;
    report::write_artifact("samples.jsonl", trace::to_jsonl(run).as_bytes())?;
    metrics::add(&results, &verdict, settings)?;
    window.map_or(Ok(()), |window| metrics::add_energy(&results, settings, window))
}
