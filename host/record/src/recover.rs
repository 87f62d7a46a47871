//! Rebuilds `run.json` of a run that could not write it, from its journal.
//!
//! ```text
//! events.jsonl ──a line at a time──► RecordBuilder ──► run.json     the same code as while the run goes on
//! run.json of the start ──what was planned──┘                       or the journal's first line, if that is lost
//! ```
//!
//! A record that is complete is left as it is, so recovering twice changes nothing.

use crate::{
    Error, RecordBuilder, RunRecord,
    event::{Event, Line},
    hardware::TimelineRecord,
    journal::Replay,
    recorder::{RECORD, moment, write_record},
    schema::{Plan, Recovery, Status},
    timeline::whole_files,
};
use serde::Deserialize;
use serde_json::Value;
use std::{fs, io, path::Path};

/// A run's record, after it was looked after.
pub struct Recovered {
    /// It.
    pub record: RunRecord,
    /// Whether `run.json` was written anew; if not, it was complete.
    pub is_new: bool,
}

/// Rebuilds the record of the run in `folder`, unless it is complete. Fails where that folder is none of a run, and
/// while the run goes on.
pub fn recover(folder: &Path) -> Result<Recovered, Error> {
    let replay = Replay::open(folder)?;
    let begun = match read_record(folder)? {
        Written::Complete(record) => return Ok(Recovered { record: *record, is_new: false }),
        Written::Begun(begun) => Some(begun),
        Written::Unreadable => None,
    };
    let record = rebuild(folder, replay, begun)?;
    write_record(folder, &record)?;
    Ok(Recovered { record, is_new: true })
}

/// What `run.json` holds.
enum Written {
    /// A run that has ended.
    Complete(Box<RunRecord>),
    /// What was known when the run began.
    Begun(Begun),
    /// Nothing: it is missing or torn.
    Unreadable,
}

/// What a run's record tells before the run has ended.
#[derive(Deserialize)]
struct Begun {
    id: String,
    started_at: String,
    #[serde(flatten)]
    plan: Plan,
}

fn read_record(folder: &Path) -> Result<Written, Error> {
    let path = folder.join(RECORD);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Written::Unreadable),
        Err(source) => return Err(Error::Io { path, source }),
    };
    let Ok(value) = serde_json::from_slice::<Value>(&text) else { return Ok(Written::Unreadable) };
    let Some(status) = value.get("status").and_then(Value::as_str) else {
        return Ok(Written::Unreadable);
    };
    if status == "running" {
        return Ok(Begun::deserialize(&value).map_or(Written::Unreadable, Written::Begun));
    }
    // Whole, but perhaps of another version: it is never replaced by less.
    let version = value.get("schema_version").and_then(Value::as_str).unwrap_or_default();
    match RunRecord::deserialize(&value) {
        Ok(record) => Ok(Written::Complete(Box::new(record))),
        Err(_) => Err(Error::OtherSchema { path, version: version.to_owned() }),
    }
}

fn rebuild(folder: &Path, mut replay: Replay, begun: Option<Begun>) -> Result<RunRecord, Error> {
    let first = replay.next_line()?;
    let (begun, plan_known) = match (begun, &first) {
        (Some(begun), _) => (begun, true),
        (None, Some(first)) => as_journal_tells(folder, first),
        // Neither tells anything.
        (None, None) => return Err(Error::NoRun(folder.to_path_buf())),
    };
    let mut builder = RecordBuilder::new(begun.id, begun.started_at, begun.plan);
    let (mut lines, mut next) = (0, first);
    while let Some(line) = next {
        lines += 1;
        builder.add(line);
        next = replay.next_line()?;
    }
    let last_ns = builder.last_ns();
    let mut record = builder.finish();
    let ended = record.status != Status::Running;
    if !ended {
        record.status = Status::Killed;
        record.error = Some(
            "the run did not end by itself: it was killed, it crashed, or the machine went down"
                .to_owned(),
        );
        record.wall_ns = last_ns;
    }
    record.recovered = Some(Recovery { lines, skipped_lines: replay.skipped, ended, plan_known });
    record.timeline = record.timeline.or_else(|| timeline(folder));
    Ok(record)
}

/// What the journal alone tells of how the run began.
fn as_journal_tells(folder: &Path, first: &Line) -> (Begun, bool) {
    if let Event::Started { id, llem_version, unix_ns, plan } = &first.event {
        let started_at = moment(unix_ns + first.t_ns as i64);
        let version_only = || Plan { llem_version: llem_version.clone(), ..Plan::default() };
        let known = plan.as_deref().cloned();
        let is_known = known.is_some();
        let plan = known.unwrap_or_else(version_only);
        return (Begun { id: id.clone(), started_at, plan }, is_known);
    }
    let name = folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_owned()));
    let id = name.unwrap_or_default().to_string_lossy().into_owned();
    (Begun { id, started_at: String::new(), plan: Plan::default() }, false)
}

/// The files of samples that were whole when the run was cut short. What sampling cost is not known.
fn timeline(folder: &Path) -> Option<TimelineRecord> {
    let (files, samples) = whole_files(folder);
    let (period, sampling, writing) = (None, None, None);
    (!files.is_empty()).then_some(TimelineRecord { files, samples, period, sampling, writing })
}
