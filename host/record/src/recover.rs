//! Rebuilds `run.json` of a run that could not write it, from its journal.
//!
//! ```text
//! events.jsonl ──a line at a time──► RecordBuilder ──► run.json     the same code as while the run goes on
//! run.json of the start ──what was planned──┘                       or the journal's first line, if that is lost
//! ```
//!
//! A record that is complete is left as it is, so recovering twice changes nothing.

use crate::{
    builder::RecordBuilder,
    error::Error,
    event::{Event, Line, Status},
    hardware::TimelineRecord,
    journal::Replay,
    plan::Plan,
    recorder::{RECORD, moment, write_record},
    schema::{Recovery, RunRecord},
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
        Found::Complete(record) => return Ok(Recovered { record: *record, is_new: false }),
        Found::Begun(begun) => Some(*begun),
        Found::Unreadable => None,
    };
    let record = rebuild(folder, replay, begun)?;
    write_record(folder, &record)?;
    Ok(Recovered { record, is_new: true })
}

/// What `run.json` holds.
enum Found {
    /// A run that has ended.
    Complete(Box<RunRecord>),
    /// What was known when the run began.
    Begun(Box<Begun>),
    /// Nothing: it is missing or torn.
    Unreadable,
}

/// What a run's record tells before the run has ended.
#[derive(Deserialize)]
struct Begun {
    #[serde(default)]
    schema_version: Option<String>,
    id: String,
    started_at: String,
    #[serde(flatten)]
    plan: Plan,
}

fn read_record(folder: &Path) -> Result<Found, Error> {
    let path = folder.join(RECORD);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Unreadable),
        Err(source) => return Err(Error::Io { path, source }),
    };
    let Ok(value) = serde_json::from_slice::<Value>(&text) else { return Ok(Found::Unreadable) };
    let Some(status) = value.get("status").and_then(Value::as_str) else {
        return Ok(Found::Unreadable);
    };
    if status == "running" {
        return Ok(Begun::deserialize(&value)
            .map_or(Found::Unreadable, |begun| Found::Begun(Box::new(begun))));
    }
    // Whole, but perhaps of another version: it is never replaced by less.
    let version = value.get("schema_version").and_then(Value::as_str).unwrap_or_default();
    match RunRecord::deserialize(&value) {
        Ok(record) => Ok(Found::Complete(Box::new(record))),
        Err(_) => Err(Error::OtherSchema { path, version: version.to_owned() }),
    }
}

fn rebuild(folder: &Path, mut replay: Replay, begun: Option<Begun>) -> Result<RunRecord, Error> {
    let first = replay.next_line()?;
    let journal_schema = match first.as_ref().map(|line| &line.event) {
        Some(Event::Started { schema_version, .. }) => Some(schema_version.clone()),
        // The first line is lost; the record of the start is of the same version.
        _ => begun.as_ref().and_then(|begun| begun.schema_version.clone()),
    };
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
    record.warnings.extend(journal_schema.as_deref().and_then(lost_to_age));
    let skipped_lines = replay.skipped;
    record.recovered = Some(Recovery { journal_schema, lines, skipped_lines, ended, plan_known });
    record.timeline = record.timeline.or_else(|| timeline(folder));
    Ok(record)
}

/// What a record that is rebuilt from a journal of an older schema does not tell as one of today does.
fn lost_to_age(journal_schema: &str) -> Option<String> {
    let major: u32 = journal_schema.split('.').next()?.parse().ok()?;
    (major < 3).then(|| {
        format!(
            "the journal has schema {journal_schema}: steps that hold prompt and decode rows are counted as prefill, for only journals from 3.0 on tell them apart"
        )
    })
}

/// What the journal alone tells of how the run began.
fn as_journal_tells(folder: &Path, first: &Line) -> (Begun, bool) {
    if let Event::Started { id, llem_version, unix_ns, plan, schema_version } = &first.event {
        let started_at = moment(unix_ns + first.t_ns as i64);
        let version_only = || Plan { llem_version: llem_version.clone(), ..Plan::default() };
        let known = plan.as_deref().cloned();
        let is_known = known.is_some();
        let plan = known.unwrap_or_else(version_only);
        let schema_version = Some(schema_version.clone());
        return (Begun { schema_version, id: id.clone(), started_at, plan }, is_known);
    }
    let name = folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_owned()));
    let id = name.unwrap_or_default().to_string_lossy().into_owned();
    let (schema_version, started_at) = (None, String::new());
    (Begun { schema_version, id, started_at, plan: Plan::default() }, false)
}

/// The files of samples that were whole when the run was cut short. What sampling cost is not known.
fn timeline(folder: &Path) -> Option<TimelineRecord> {
    let (files, samples) = whole_files(folder);
    let (period, sampling, writing) = (None, None, None);
    (!files.is_empty()).then_some(TimelineRecord { files, samples, period, sampling, writing })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Recorder, report::Table};
    use tempfile::TempDir;

    fn append(recorder: &mut Recorder, t_ns: u64, event: Event) {
        recorder.append(t_ns, event, u64::MAX).expect("written");
    }

    /// A run that ended with these lines: started, a phase that began, a table, a warning, the phase's end, ended.
    fn run() -> (TempDir, String, RunRecord) {
        let folder = tempfile::tempdir().expect("a folder");
        let plan = Plan { llem_version: "0.1.0".to_owned(), seed: u64::MAX, ..Plan::default() };
        let mut recorder =
            Recorder::create(Some(folder.path()), "run", 0, plan).expect("a new folder");
        append(&mut recorder, 10, Event::PhaseBegan { phase: "measure".to_owned() });
        let rows = vec![vec!["\u{20ac} \"quoted\"".to_owned()]];
        let (name, source) = ("t".to_owned(), llem_quantity::Source::Script);
        let table = Table { name, columns: vec!["c".to_owned()], rows, source };
        append(&mut recorder, 20, Event::Table(table));
        append(&mut recorder, 30, Event::Warning { message: "hot".to_owned() });
        append(&mut recorder, 40, Event::PhaseEnded { phase: "measure".to_owned(), wall_ns: 30 });
        let begun = fs::read_to_string(folder.path().join(RECORD)).expect("written");
        let record = recorder.finish(50, Status::Completed, None).expect("written");
        (folder, begun, record)
    }

    fn recovered(folder: &Path) -> RunRecord {
        recover(folder).expect("recovered").record
    }

    fn text(record: &RunRecord) -> String {
        serde_json::to_string(record).expect("text")
    }

    #[test]
    fn a_journal_that_is_cut_anywhere_gives_what_is_whole() {
        let (folder, begun, complete) = run();
        let journal = folder.path().join("events.jsonl");
        let all = fs::read(&journal).expect("written");
        let ends: Vec<usize> = (0..all.len()).filter(|&place| all[place] == b'\n').collect();
        // How many lines are whole; a line is, with or without its end.
        let whole = |length: usize| ends.iter().filter(|&&end| end <= length).count();
        for length in ends[0]..=all.len() {
            fs::write(&journal, &all[..length]).expect("written");
            // The record of the start stands there, or not.
            if length % 2 == 0 {
                fs::write(folder.path().join(RECORD), &begun).expect("written");
            } else {
                fs::remove_file(folder.path().join(RECORD)).expect("removed");
            }
            let mut record = recovered(folder.path());
            let recovery = record.recovered.take().expect("it was recovered");
            let lines = whole(length);
            assert_eq!(recovery.lines, lines as u64, "{length}");
            assert!(recovery.plan_known && record.plan.seed == u64::MAX);
            let is_torn = all[length - 1] != b'\n' && !ends.contains(&length);
            assert_eq!(recovery.skipped_lines, u64::from(is_torn), "{length}");
            if lines == ends.len() {
                assert_eq!(text(&record), text(&complete), "{length}");
                continue;
            }
            assert_eq!((record.status, recovery.ended), (Status::Killed, false));
            let last = [0, 10, 20, 30, 40][lines - 1];
            assert_eq!(record.wall_ns, last);
            assert_eq!(record.started_at, complete.started_at);
            let phases: Vec<(u64, u64)> =
                record.phases.iter().map(|phase| (phase.started_ns, phase.wall_ns)).collect();
            assert_eq!(phases, if lines > 1 { vec![(10, last - 10)] } else { vec![] });
            assert_eq!(record.tables.len(), usize::from(lines > 2));
            assert_eq!(record.warnings.len(), usize::from(lines > 3));
        }
    }

    #[test]
    fn torn_lines_anywhere_are_skipped_and_counted() {
        let (folder, _, complete) = run();
        let journal = folder.path().join("events.jsonl");
        let lines = fs::read_to_string(&journal).expect("written");
        let lines: Vec<&str> = lines.lines().collect();
        // Half a line, blocks of zeros as file systems leave them, and an event of a later version.
        let torn = [&lines[2][..9], "\0\0\0\0", r#"{"t_ns":12,"event":"later"}"#];
        let text_of =
            lines[0].to_owned() + "\n" + &torn.join("\n") + "\n\n" + &lines[1..].join("\n");
        fs::write(&journal, text_of).expect("written");
        fs::write(folder.path().join(RECORD), "{\"half\":").expect("written");
        let mut record = recovered(folder.path());
        let recovery = record.recovered.take().expect("it was recovered");
        assert_eq!((recovery.lines, recovery.skipped_lines), (6, 3));
        assert_eq!(text(&record), text(&complete));
    }

    #[test]
    fn a_journal_of_an_older_version_is_recovered_as_far_as_it_tells() {
        let folder = tempfile::tempdir().expect("a folder");
        let started = r#"{"t_ns":0,"event":"started","id":"old","llem_version":"0.0.9","unix_ns":1000000000}"#;
        fs::write(folder.path().join("events.jsonl"), started).expect("written");
        let record = recovered(folder.path());
        assert_eq!(
            (record.id.as_str(), record.started_at.as_str()),
            ("old", "1970-01-01T00:00:01Z")
        );
        assert_eq!(record.plan.llem_version, "0.0.9");
        let recovery = record.recovered.expect("it was recovered");
        assert!(!recovery.plan_known);
        assert_eq!(recovery.journal_schema.as_deref(), Some("2.0"));
        assert!(record.warnings[0].starts_with("the journal has schema 2.0: steps that hold"));
    }

    #[test]
    fn a_journal_tells_its_schema_even_if_its_first_line_is_lost() {
        let (folder, begun, _) = run();
        let journal = folder.path().join("events.jsonl");
        let all = fs::read_to_string(&journal).expect("written");
        for (lines, is_begun) in
            [(&all[..], false), (&all[all.find('\n').expect("a line")..], true)]
        {
            fs::write(&journal, lines).expect("written");
            match is_begun {
                true => fs::write(folder.path().join(RECORD), &begun).expect("written"),
                false => fs::remove_file(folder.path().join(RECORD)).expect("removed"),
            }
            let record = recovered(folder.path());
            let recovery = record.recovered.expect("it was recovered");
            assert_eq!(recovery.journal_schema.as_deref(), Some(crate::schema::SCHEMA_VERSION));
            assert_eq!(record.warnings, ["hot"]);
        }
    }

    #[test]
    fn a_run_that_goes_on_is_let_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let recorder = Recorder::create(Some(folder.path()), "run", 0, Plan::default());
        assert!(matches!(recover(folder.path()), Err(Error::StillRunning(_))));
        drop(recorder);
        assert!(recover(folder.path()).expect("recovered").is_new);
        assert!(!recover(folder.path()).expect("it is complete").is_new);
    }
}
