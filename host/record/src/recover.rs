//! Rebuilds `run.json` from the journal, for a run that could not write it.
//!
//! ```text
//! events.jsonl ──a line at a time──► RecordBuilder ──► run.json     the same code as while the run goes on
//! run.json of the start ──the plan──────────┘                       or the journal's first line, if run.json is lost
//! ```
//!
//! A complete record is not changed, so recovering twice has no effect.

use crate::{
    builder::RecordBuilder,
    error::Error,
    event::{Event, JournalLine, RunStatus},
    hardware::TimelineRecord,
    journal::JournalReader,
    plan::RunPlan,
    recorder::{RECORD, moment, write_record},
    schema::{Recovery, RunRecord},
    timeline::find_files,
};
use serde::Deserialize;
use serde_json::Value;
use std::{fs, io, path::Path};

/// The result of [`recover()`].
pub struct RecoveredRun {
    /// The record that the journal was rebuilt to.
    pub record: RunRecord,
    /// Whether `run.json` was rebuilt. If not, it was already complete.
    pub is_new: bool,
}

/// Rebuilds the record of the run in `folder`, unless it is complete.
///
/// # Errors
/// The folder does not belong to a run, the run still goes on, or a file cannot be read or written.
pub fn recover(folder: &Path) -> Result<RecoveredRun, Error> {
    let replay = JournalReader::open(folder)?;
    let begun = match read_record(folder)? {
        RecordFile::Complete(record) => return Ok(RecoveredRun { record: *record, is_new: false }),
        RecordFile::Started(begun) => Some(*begun),
        RecordFile::Unreadable => None,
    };
    let record = rebuild(folder, replay, begun)?;
    write_record(folder, &record)?;
    Ok(RecoveredRun { record, is_new: true })
}

/// Rebuilds the record of the run in `folder` from its journal alone, and writes nothing. `run.json` is not read, so that
/// it can be compared with the result.
///
/// # Errors
/// The folder does not belong to a run, the run still goes on, or a file cannot be read.
pub fn rebuild_from_journal(folder: &Path) -> Result<RunRecord, Error> {
    rebuild(folder, JournalReader::open(folder)?, None)
}

/// The content of `run.json`.
enum RecordFile {
    /// The record of a run that has ended.
    Complete(Box<RunRecord>),
    /// The record that was written when the run began.
    Started(Box<StartedRecord>),
    /// Nothing, because the file is missing or incomplete.
    Unreadable,
}

/// The fields of a record that are known when the run begins.
#[derive(Deserialize)]
struct StartedRecord {
    #[serde(default)]
    schema_version: Option<String>,
    id: String,
    started_at: String,
    #[serde(flatten)]
    plan: RunPlan,
}

fn read_record(folder: &Path) -> Result<RecordFile, Error> {
    let path = folder.join(RECORD);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(RecordFile::Unreadable),
        Err(source) => return Err(Error::Io { path, source }),
    };
    let Ok(value) = serde_json::from_slice::<Value>(&text) else {
        return Ok(RecordFile::Unreadable);
    };
    let Some(status) = value.get("status").and_then(Value::as_str) else {
        return Ok(RecordFile::Unreadable);
    };
    if status == "running" {
        return Ok(StartedRecord::deserialize(&value)
            .map_or(RecordFile::Unreadable, |begun| RecordFile::Started(Box::new(begun))));
    }
    // The record is complete. If it is of another version, it is not replaced, because a rebuilt record could lack parts.
    let version = value.get("schema_version").and_then(Value::as_str).unwrap_or_default();
    match RunRecord::deserialize(&value) {
        Ok(record) => Ok(RecordFile::Complete(Box::new(record))),
        Err(_) => Err(Error::OtherSchema { path, version: version.to_owned() }),
    }
}

fn rebuild(
    folder: &Path,
    mut replay: JournalReader,
    begun: Option<StartedRecord>,
) -> Result<RunRecord, Error> {
    let first = replay.next_line()?;
    let journal_schema = match first.as_ref().map(|line| &line.event) {
        Some(Event::Started { schema_version, .. }) => Some(schema_version.clone()),
        // The first line is lost. The record from the start of the run has the same version.
        _ => begun.as_ref().and_then(|begun| begun.schema_version.clone()),
    };
    let (begun, plan_known) = match (begun, &first) {
        (Some(begun), _) => (begun, true),
        (None, Some(first)) => start_from_journal(folder, first),
        // Neither the record nor the journal says how the run began.
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
    let ended = record.status != RunStatus::Running;
    if !ended {
        record.status = RunStatus::Killed;
        record.error = Some(
            "the run did not end by itself: it was killed, it crashed, or the machine went down"
                .to_owned(),
        );
        record.wall_ns = last_ns;
    }
    record.warnings.extend(journal_schema.as_deref().and_then(old_schema_warning));
    let skipped_lines = replay.skipped;
    record.recovered = Some(Recovery { journal_schema, lines, skipped_lines, ended, plan_known });
    record.timeline = record.timeline.or_else(|| timeline(folder));
    Ok(record)
}

/// Returns a warning about what a record lacks that is rebuilt from a journal of an older schema.
fn old_schema_warning(journal_schema: &str) -> Option<String> {
    let major: u32 = journal_schema.split('.').next()?.parse().ok()?;
    (major < 3).then(|| {
        format!(
            "the journal has schema {journal_schema}: steps that hold prompt and decode rows are counted as prefill, for only journals from 3.0 on tell them apart"
        )
    })
}

/// Returns how the run began, according to the journal alone, and whether the journal has the plan.
fn start_from_journal(folder: &Path, first: &JournalLine) -> (StartedRecord, bool) {
    if let Event::Started { id, llem_version, unix_ns, plan, schema_version } = &first.event {
        let started_at = moment(unix_ns + first.t_ns as i64);
        let version_only = || RunPlan { llem_version: llem_version.clone(), ..RunPlan::default() };
        let known = plan.as_deref().cloned();
        let is_known = known.is_some();
        let plan = known.unwrap_or_else(version_only);
        let schema_version = Some(schema_version.clone());
        return (StartedRecord { schema_version, id: id.clone(), started_at, plan }, is_known);
    }
    let name = folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_owned()));
    let id = name.unwrap_or_default().to_string_lossy().into_owned();
    let (schema_version, started_at) = (None, String::new());
    (StartedRecord { schema_version, id, started_at, plan: RunPlan::default() }, false)
}

/// Finds the complete files of samples that an interrupted run left. The cost of sampling is not known.
fn timeline(folder: &Path) -> Option<TimelineRecord> {
    let (files, samples) = find_files(folder);
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
        let plan =
            RunPlan { llem_version: "0.1.0".to_owned(), seed: u64::MAX, ..RunPlan::default() };
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
        let record = recorder.finish(50, RunStatus::Completed, None).expect("written");
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
        // The number of complete lines. A line counts with or without its line break.
        let whole = |length: usize| ends.iter().filter(|&&end| end <= length).count();
        for length in ends[0]..=all.len() {
            fs::write(&journal, &all[..length]).expect("written");
            // The record from the start of the run exists, or not.
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
            assert_eq!((record.status, recovery.ended), (RunStatus::Killed, false));
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
        // A part of a line, a block of zeros such as file systems leave, and an event of a later version.
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
        let recorder = Recorder::create(Some(folder.path()), "run", 0, RunPlan::default());
        assert!(matches!(recover(folder.path()), Err(Error::StillRunning(_))));
        drop(recorder);
        assert!(recover(folder.path()).expect("recovered").is_new);
        assert!(!recover(folder.path()).expect("it is complete").is_new);
    }
}
