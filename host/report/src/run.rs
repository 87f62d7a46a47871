//! Loads a run from its folder: the record, the requests of the journal, and the samples of the devices.
//!
//! ```text
//! run.json       complete: the record.   running, torn or missing: the record is rebuilt in memory
//! events.jsonl   ──► the rebuilt record, and the samples of requests
//! timeline/      ──► samples of the devices
//! ```

use crate::{error::Error, requests::Requests, samples::Timeline};
use llem_record::{Event, JournalLine, RecordBuilder, RunPlan, RunRecord, RunStatus, date};
use serde::Deserialize;
use serde_json::Value;
use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

/// A run that a report is made of. Nothing in its folder is changed.
pub struct LoadedRun {
    pub(crate) folder: PathBuf,
    pub(crate) record: RunRecord,
    pub(crate) requests: Requests,
    pub(crate) timeline: Timeline,
    /// What the folder lacks, in sentences for the reader of the report.
    pub(crate) notes: Vec<String>,
}

impl LoadedRun {
    /// Reads a run. `path` is the run's folder, or its `run.json`. The run may still go on, or may have been killed.
    ///
    /// # Errors
    /// The path does not belong to a run, a file cannot be read, or the record is of a schema that is not known.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let folder = match fs::metadata(path).map_err(io)?.is_dir() {
            true => path.to_path_buf(),
            false => match path.parent() {
                Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
                Some(parent) => parent.to_path_buf(),
                None => return Err(Error::NoRun(path.to_path_buf())),
            },
        };
        let mut notes = Vec::new();
        let value = read_json(&folder.join("run.json"))?;
        let mut journal = Journal::read(&folder, value.as_ref())?;
        let record = match value.as_ref().filter(|value| is_complete(value)) {
            Some(value) => RunRecord::deserialize(value).map_err(|_| Error::OtherSchema {
                path: folder.join("run.json"),
                version: text(value, "schema_version"),
            })?,
            None => journal.rebuilt(&folder, value.as_ref(), &mut notes)?,
        };
        if !journal.is_there {
            notes.push(
                "There is no events.jsonl beside run.json, so the latencies of single requests are not known.".to_owned(),
            );
        } else if journal.skipped > 0 {
            notes.push(format!(
                "{} lines of events.jsonl are incomplete or of another version of llem, and are not in this report.",
                journal.skipped
            ));
        }
        let timeline = Timeline::read(&folder, &mut notes);
        journal.requests.sort();
        Ok(Self { folder, record, requests: journal.requests, timeline, notes })
    }

    /// Returns the folder of the run.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the record of the run: `run.json`, or what the journal has so far.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }
}

/// What the journal holds.
struct Journal {
    is_there: bool,
    requests: Requests,
    /// The record from the journal's events, if `run.json` is not complete.
    builder: Option<RecordBuilder>,
    lines: u64,
    skipped: u64,
}

impl Journal {
    fn read(folder: &Path, value: Option<&Value>) -> Result<Self, Error> {
        let path = folder.join("events.jsonl");
        let mut journal = Self {
            is_there: true,
            requests: Requests::default(),
            builder: None,
            lines: 0,
            skipped: 0,
        };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                journal.is_there = false;
                return Ok(journal);
            }
            Err(source) => return Err(Error::Io { path, source }),
        };
        let is_rebuilt = !value.is_some_and(is_complete);
        for line in BufReader::new(file).split(b'\n') {
            let line = line.map_err(|source| Error::Io { path: path.clone(), source })?;
            if line.is_empty() {
                continue;
            }
            let Ok(line) = serde_json::from_slice::<JournalLine>(&line) else {
                journal.skipped += 1;
                continue;
            };
            journal.lines += 1;
            journal.requests.add(&line);
            if is_rebuilt {
                journal.builder.get_or_insert_with(|| builder(value, &line)).add(line);
            }
        }
        Ok(journal)
    }

    fn rebuilt(
        &mut self,
        folder: &Path,
        value: Option<&Value>,
        notes: &mut Vec<String>,
    ) -> Result<RunRecord, Error> {
        let builder = match (self.builder.take(), value) {
            (Some(builder), _) => builder,
            (None, Some(value)) => {
                builder_of_record(value).ok_or_else(|| Error::NoRun(folder.to_path_buf()))?
            }
            (None, None) => return Err(Error::NoRun(folder.to_path_buf())),
        };
        let last_ns = builder.last_ns();
        let mut record = builder.finish();
        if record.status == RunStatus::Running {
            record.wall_ns = last_ns;
            notes.push(format!(
                "The run has not ended, or it was killed: this report holds the {} lines that its journal has so far.",
                self.lines
            ));
        } else {
            notes.push(
                "run.json is not complete, so the record was rebuilt from the journal; llem recover writes it.".to_owned(),
            );
        }
        Ok(record)
    }
}

fn read_json(path: &Path) -> Result<Option<Value>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { path: path.to_path_buf(), source }),
    }
}

fn text(value: &Value, field: &str) -> String {
    value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn is_complete(value: &Value) -> bool {
    value.get("status").and_then(Value::as_str).is_some_and(|status| status != "running")
}

fn builder_of_record(value: &Value) -> Option<RecordBuilder> {
    let plan = RunPlan::deserialize(value).ok()?;
    Some(RecordBuilder::new(text(value, "id"), text(value, "started_at"), plan))
}

/// Returns a builder for the run that the record of its start describes, otherwise the first line of the journal.
fn builder(value: Option<&Value>, first: &JournalLine) -> RecordBuilder {
    if let Some(builder) = value.and_then(builder_of_record) {
        return builder;
    }
    match &first.event {
        Event::Started { id, unix_ns, plan, .. } => {
            let began = date(unix_ns.div_euclid(1_000_000_000));
            RecordBuilder::new(id.clone(), began, plan.as_deref().cloned().unwrap_or_default())
        }
        _ => RecordBuilder::new(String::new(), String::new(), RunPlan::default()),
    }
}
