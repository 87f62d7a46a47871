//! A folder in the layout of MLflow's file store, as `mlflow/store/tracking/file_store.py` of MLflow 3.17.2 reads it.
//!
//! ```text
//! mlruns/0/meta.yaml                       the experiment `Default`, which MLflow expects in each store
//! mlruns/<experiment id>/meta.yaml         one experiment for each experiment of llem
//! mlruns/<experiment id>/<run id>/
//!   meta.yaml                              name, status, begin, end
//!   params/<group>/<name>                  the value
//!   metrics/<kind>/.../<name>              lines of `<ms since 1970> <value> <step>`
//!   tags/<name>                            the value
//!   artifacts/                             run.json, numbers.json, report.html
//! ```

use crate::{
    error::Error,
    facts::facts,
    files::{NewFolder, refuse_existing},
    name::{digest, part},
    numbers::{Numbers, RunNumber},
    numbers_file::{self, NUMBERS},
    run::ExportedRun,
    yaml::quoted,
};
use llem_record::RunStatus;
use llem_report::{Format, Report, render, visible_part};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    slice,
};
use url::Url;

/// The longest value of a parameter, characters: `MAX_PARAM_VAL_LENGTH` of `mlflow/utils/validation.py` less the ellipsis. The
/// file store itself has no limit, but a database to which the store is moved has.
const LONGEST_PARAMETER: usize = 5999;

/// The longest value of a tag, characters: `MAX_TAG_VAL_LENGTH` less the ellipsis.
const LONGEST_TAG: usize = 7999;

/// Writes runs into the store `root`, and returns their folders.
pub(crate) fn export(runs: &[ExportedRun], root: &Path) -> Result<Vec<PathBuf>, Error> {
    let root = std::path::absolute(root).map_err(Error::at(root))?;
    let mut places = Vec::new();
    for run in runs {
        let folder = root.join(experiment_id(&run.experiment())).join(run.key(32));
        refuse_existing(&folder)?;
        places.push((run, run.demand_start("mlflow")?, folder));
    }
    fs::create_dir_all(&root).map_err(Error::at(&root))?;
    write_experiment(&root, "0", "Default")?;
    for (run, started_ms, folder) in &places {
        let experiment = run.experiment();
        write_experiment(&root, &experiment_id(&experiment), &experiment)?;
        let new = NewFolder::create(&root)?;
        write_run(run, *started_ms, folder, new.path())?;
        new.move_to(folder)?;
    }
    Ok(places.into_iter().map(|(_, _, folder)| folder).collect())
}

/// Returns the id of the experiment with a name: 18 decimal digits, as MLflow's own, for a database takes only numbers.
fn experiment_id(name: &str) -> String {
    let digits = u64::from_str_radix(&digest(&["experiment", name], 15), 16).unwrap_or_default();
    format!("{:018}", digits % 900_000_000_000_000_000 + 100_000_000_000_000_000)
}

/// Writes the description of an experiment, unless it is there.
fn write_experiment(root: &Path, id: &str, name: &str) -> Result<(), Error> {
    let folder = root.join(id);
    let path = folder.join("meta.yaml");
    if path.exists() {
        return Ok(());
    }
    fs::create_dir_all(&folder).map_err(Error::at(&folder))?;
    let text = format!(
        "artifact_location: {}\nexperiment_id: '{id}'\nlifecycle_stage: active\nname: {}\n",
        quoted(&address(&folder)),
        quoted(name),
    );
    llem_files::write(&path, text.as_bytes()).map_err(Error::at(&path))
}

/// Returns the `file:` address of an absolute path.
fn address(path: &Path) -> String {
    Url::from_file_path(path).map_or_else(|()| path.display().to_string(), String::from)
}

/// Writes the folder of a run. `target` is where it will be, and `folder` where it is written.
fn write_run(
    run: &ExportedRun,
    started_ms: i64,
    target: &Path,
    folder: &Path,
) -> Result<(), Error> {
    let record = run.record();
    let numbers = Numbers::new(run);
    let ended_ms = started_ms.saturating_add_unsigned(record.wall_ns / 1_000_000);
    write(folder, "meta.yaml", meta(run, started_ms, ended_ms, target).as_bytes())?;
    for name in ["params", "metrics", "tags", "artifacts"] {
        let path = folder.join(name);
        fs::create_dir_all(&path).map_err(Error::at(&path))?;
    }
    for (group, facts) in facts(run) {
        for (name, value) in facts {
            let value = match value {
                Value::String(text) => text,
                value => value.to_string(),
            };
            let path = format!("params/{group}/{}", part(&name));
            write(folder, &path, visible_part(&value, LONGEST_PARAMETER).as_bytes())?;
        }
    }
    for (name, lines) in metrics(run, &numbers, ended_ms) {
        write(folder, &format!("metrics/{name}"), lines.as_bytes())?;
    }
    for (name, value) in tags(run, &numbers) {
        write(folder, &format!("tags/{name}"), value.as_bytes())?;
    }
    let json = serde_json::to_vec_pretty(record).unwrap_or_default();
    write(folder, "artifacts/run.json", &json)?;
    write(folder, &format!("artifacts/{NUMBERS}"), &numbers_file::render(&numbers))?;
    let report = Report::new(slice::from_ref(&run.loaded), &[]);
    write(folder, "artifacts/report.html", &render(&report, Format::Html))
}

fn write(folder: &Path, name: &str, content: &[u8]) -> Result<(), Error> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::at(parent))?;
    }
    fs::write(&path, content).map_err(Error::at(&path))
}

/// Returns the fields of `RunInfo`, and those that MLflow keeps for its older versions.
fn meta(run: &ExportedRun, started_ms: i64, ended_ms: i64, target: &Path) -> String {
    let record = run.record();
    // The numbers of RunStatus in mlflow/protos/service.proto.
    let (status, end) = match record.status {
        RunStatus::Running => (1, "null".to_owned()),
        RunStatus::Completed => (3, ended_ms.to_string()),
        RunStatus::Failed => (4, ended_ms.to_string()),
        RunStatus::Interrupted | RunStatus::Killed => (5, ended_ms.to_string()),
    };
    let key = run.key(32);
    format!(
        "artifact_uri: {}\nend_time: {end}\nentry_point_name: ''\nexperiment_id: '{}'\nlifecycle_stage: active\nrun_id: '{key}'\nrun_name: {}\nrun_uuid: '{key}'\nsource_name: ''\nsource_type: 4\nsource_version: ''\nstart_time: {started_ms}\nstatus: {status}\ntags: []\nuser_id: ''\n",
        quoted(&address(&target.join("artifacts"))),
        experiment_id(&run.experiment()),
        quoted(&run.title()),
    )
}

/// Returns the content of the metrics' files by name. An uncertainty above 0 is a metric of its own.
fn metrics(run: &ExportedRun, numbers: &Numbers, ended_ms: i64) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for RunNumber { name, step, t_ns, reading, .. } in &numbers.all {
        let Ok(number) = reading else { continue };
        let ms = t_ns.and_then(|t_ns| run.moment_ms(t_ns)).unwrap_or(ended_ms);
        let mut add = |name: String, value: f64| {
            *files.entry(name).or_default() += &format!("{ms} {value} {step}\n");
        };
        add(name.clone(), number.value);
        if number.uncertainty > 0.0 && number.uncertainty.is_finite() {
            add(format!("{name}_uncertainty"), number.uncertainty);
        }
    }
    files
}

fn tags(run: &ExportedRun, numbers: &Numbers) -> BTreeMap<&'static str, String> {
    let record = run.record();
    let mut sources: Vec<&str> = Vec::new();
    for number in numbers.all.iter().filter_map(|number| number.reading.as_ref().ok()) {
        if number.unit.starts_with('J') && !sources.contains(&number.source.name()) {
            sources.push(number.source.name());
        }
    }
    let covers = run.measured.as_ref().map(|measured| {
        let names = measured.covers.iter().map(|of| format!("{} {}", of.device, of.domain));
        names.collect::<Vec<_>>().join(", ")
    });
    let mut tags = BTreeMap::from([
        ("mlflow.runName", run.title()),
        ("mlflow.source.name", "llem".to_owned()),
        ("mlflow.source.type", "LOCAL".to_owned()),
        ("llem.run_id", visible_part(&record.id, LONGEST_TAG)),
        ("llem.simulated", run.is_simulated().to_string()),
        ("llem.energy_sources", sources.join(", ")),
        ("llem.energy_covers", visible_part(&covers.unwrap_or_default(), LONGEST_TAG)),
    ]);
    let notes = run.notes();
    if !notes.is_empty() {
        // MLflow shows this as Markdown; an indented line is code, in which nothing is markup.
        let lines = notes.iter().map(|note| format!("    {note}\n"));
        let text: String = lines.collect();
        tags.insert("mlflow.note.content", text.chars().take(LONGEST_TAG).collect());
    }
    tags.retain(|_, value| !value.is_empty());
    tags
}
