//! Folders of offline runs of Weights & Biases, which `wandb sync` uploads.
//!
//! ```text
//! offline-run-<date>_<time>-<id>/
//!   run-<id>.wandb           the run as a log of messages: all that `wandb sync` reads
//!   files/                   what is uploaded beside it
//!     config.yaml            facts of the run
//!     wandb-summary.json     the last value of each number
//!     wandb-metadata.json    when and by what the run was made
//!     run.json, numbers.json the record, and units and sources of the numbers
//! ```

mod log;
mod messages;

use self::{
    log::Log,
    messages::{
        ConfigRecord, FilesItem, FilesRecord, HeaderRecord, HistoryRecord, HistoryStep, Item,
        MetricRecord, Record, RecordType, RunExitRecord, RunRecord, SummaryRecord, Timestamp,
        VersionInfo,
    },
};
use crate::{
    error::Error,
    facts::{Facts, facts},
    files::{NewFolder, refuse_existing},
    name::part,
    numbers::Numbers,
    numbers_file::{self, NUMBERS},
    run::ExportedRun,
    yaml::quoted,
};
use llem_record::RunStatus;
use llem_report::visible_part;
use prost::Message;
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The oldest version of W&B that reads the file: what wandb 0.31.0 writes for its own.
const MIN_CONSUMER: &str = "0.70.0";

/// Writes runs into the folder `root`, and returns their folders.
pub(crate) fn export(runs: &[ExportedRun], root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut places = Vec::new();
    for run in runs {
        let started_ms = run.demand_start("wandb")?;
        let name = format!("offline-run-{}-{}", moment(started_ms), run.key(16));
        refuse_existing(&root.join(&name))?;
        places.push((run, started_ms, root.join(name)));
    }
    fs::create_dir_all(root).map_err(Error::at(root))?;
    for (run, started_ms, folder) in &places {
        let new = NewFolder::create(root)?;
        write_run(run, *started_ms, new.path())?;
        new.move_to(folder)?;
    }
    Ok(places.into_iter().map(|(_, _, folder)| folder).collect())
}

/// Returns a moment as W&B has it in names of folders, in UTC.
fn moment(ms: i64) -> String {
    let moment = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    moment.strftime("%Y%m%d_%H%M%S").to_string()
}

fn write_run(run: &ExportedRun, started_ms: i64, folder: &Path) -> Result<(), Error> {
    let numbers = Numbers::new(run);
    let facts = facts(run);
    let rows = rows(run, &numbers, started_ms);
    let files = folder.join("files");
    fs::create_dir(&files).map_err(Error::at(&files))?;
    let metadata = json!({
        "startedAt": run.record().started_at,
        "os": run.record().plan.host.system,
        "program": "llem",
        "args": run.record().plan.command.iter().skip(1).collect::<Vec<_>>(),
    });
    let contents = [
        ("config.yaml", config_file(&facts).into_bytes()),
        ("wandb-summary.json", pretty(&json!(summary(run, &rows)))),
        ("wandb-metadata.json", pretty(&metadata)),
        ("run.json", pretty(&json!(run.record()))),
        (NUMBERS, numbers_file::render(&numbers)),
    ];
    for (name, content) in &contents {
        let path = files.join(name);
        fs::write(&path, content).map_err(Error::at(path))?;
    }
    let names = contents.map(|(name, _)| name.to_owned());
    let log = log(run, started_ms, &facts, &numbers, &rows, names);
    let path = folder.join(format!("run-{}.wandb", run.key(16)));
    fs::write(&path, log).map_err(Error::at(path))
}

fn pretty(value: &Value) -> Vec<u8> {
    serde_json::to_vec_pretty(value).unwrap_or_default()
}

/// Returns the config as W&B's own file has it: each key with its `value`. Lists and objects are texts of JSON.
fn config_file(facts: &Facts) -> String {
    let entries = facts.iter().map(|(group, facts)| {
        let lines = facts.iter().map(|(name, value)| {
            let value = match value {
                Value::String(text) => quoted(text),
                Value::Array(_) | Value::Object(_) => quoted(&value.to_string()),
                value => value.to_string(),
            };
            format!("        {}: {value}\n", quoted(name))
        });
        format!("{group}:\n    value:\n{}", lines.collect::<String>())
    });
    entries.collect()
}

/// Returns the rows of the history: row N has each number's value at its step N. An uncertainty above 0 has a key of its own.
fn rows(run: &ExportedRun, numbers: &Numbers, started_ms: i64) -> Vec<Map<String, Value>> {
    let mut rows: BTreeMap<u64, Map<String, Value>> = BTreeMap::new();
    for number in &numbers.all {
        let Ok(quantity) = &number.reading else { continue };
        let row = rows.entry(number.step).or_default();
        row.insert(number.name.clone(), json!(quantity.value));
        if quantity.uncertainty > 0.0 && quantity.uncertainty.is_finite() {
            row.insert(format!("{}_uncertainty", number.name), json!(quantity.uncertainty));
        }
    }
    // What W&B adds to each row. All rows are known when the run has ended.
    let seconds = run.record().wall_ns as f64 * 1e-9;
    for (step, row) in &mut rows {
        row.insert("_step".to_owned(), json!(step));
        row.insert("_runtime".to_owned(), json!(seconds));
        row.insert("_timestamp".to_owned(), json!(started_ms as f64 * 1e-3 + seconds));
    }
    rows.into_values().collect()
}

/// Returns the last value of each key.
fn summary(run: &ExportedRun, rows: &[Map<String, Value>]) -> Map<String, Value> {
    let mut summary = Map::new();
    rows.iter().for_each(|row| summary.extend(row.clone()));
    summary.insert("_wandb".to_owned(), json!({ "runtime": runtime(run) }));
    summary
}

/// How long the run took, s.
fn runtime(run: &ExportedRun) -> i32 {
    i32::try_from(run.record().wall_ns / 1_000_000_000).unwrap_or(i32::MAX)
}

fn log(
    run: &ExportedRun,
    started_ms: i64,
    facts: &Facts,
    numbers: &Numbers,
    rows: &[Map<String, Value>],
    files: [String; 5],
) -> Vec<u8> {
    let item =
        |key: &str, value: &Value| Item { key: key.to_owned(), value_json: value.to_string() };
    let items =
        |row: &Map<String, Value>| row.iter().map(|(key, value)| item(key, value)).collect();
    let producer = format!("llem {}", env!("CARGO_PKG_VERSION"));
    let version = VersionInfo { producer, min_consumer: MIN_CONSUMER.to_owned() };
    let config = facts.iter().map(|(group, facts)| item(group, &json!(facts))).collect();
    let mut records = vec![
        RecordType::Header(HeaderRecord { version_info: Some(version) }),
        RecordType::Run(Box::new(RunRecord {
            run_id: run.key(16),
            // A project's name has none of /\#?%: and at most 128 characters.
            project: part(&run.experiment()).replace(' ', "-"),
            config: Some(ConfigRecord { update: config }),
            display_name: run.title(),
            notes: run.notes().join("\n"),
            tags: tags(run),
            start_time: Some(Timestamp {
                seconds: started_ms.div_euclid(1000),
                nanos: started_ms.rem_euclid(1000) as i32 * 1_000_000,
            }),
        })),
    ];
    records.extend(numbers.curves.iter().map(|curve| {
        let (name, step_metric) = (curve.y.clone(), curve.x.clone());
        RecordType::Metric(MetricRecord { name, step_metric })
    }));
    records.extend(rows.iter().map(|row| {
        let num = row.get("_step").and_then(Value::as_i64).unwrap_or_default();
        RecordType::History(HistoryRecord { item: items(row), step: Some(HistoryStep { num }) })
    }));
    let files = files.map(|path| FilesItem { path }).to_vec();
    let exit_code = i32::from(run.record().status != RunStatus::Completed);
    records.extend([
        RecordType::Summary(SummaryRecord { update: items(&summary(run, rows)) }),
        RecordType::Files(FilesRecord { files }),
        RecordType::Exit(RunExitRecord { exit_code, runtime: runtime(run) }),
    ]);
    let mut log = Log::new();
    for (num, record_type) in (1..).zip(records) {
        log.append(&Record { num, record_type: Some(record_type) }.encode_to_vec());
    }
    log.into_bytes()
}

/// Returns the tags: words of at most 64 characters, by which W&B groups and filters.
fn tags(run: &ExportedRun) -> Vec<String> {
    let mut tags = vec!["llem".to_owned()];
    if run.is_simulated() {
        tags.push("simulated".to_owned());
    }
    tags.push(visible_part(&run.experiment(), 60));
    tags
}
