//! Reads a run that is to be compared.

use crate::{error::Error, generated::GeneratedRequest, journal::Journal, scored::ScoreCall};
use llem_record::{RunRecord, RunStatus, SCHEMA_VERSION};
use serde::Deserialize;
use serde_json::Value;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A run with its requests. Nothing in its folder is changed.
pub struct ComparedRun {
    folder: PathBuf,
    record: RunRecord,
    /// `None` if there is no journal beside the record.
    journal: Option<Journal>,
}

impl ComparedRun {
    /// Reads a run. `path` is the run's folder, or its `run.json`. Without a journal beside it, requests and tokens are not
    /// known.
    ///
    /// # Errors
    /// The path does not belong to a run, the run has not ended, a file cannot be read, or the record is of a schema that is
    /// not known.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let file = match fs::metadata(path).map_err(io)?.is_dir() {
            true => path.join("run.json"),
            false => path.to_path_buf(),
        };
        let folder = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let record = read_record(&file)?;
        if record.status == RunStatus::Running {
            return Err(Error::NotEnded(folder));
        }
        let journal = Journal::read(&folder.join("events.jsonl"))?;
        Ok(Self { folder, record, journal })
    }

    /// Returns the folder of the run.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the record.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Returns true if the journal is there, so that requests and tokens are known.
    pub fn has_journal(&self) -> bool {
        self.journal.is_some()
    }

    /// Returns true if the run came to its end. Otherwise, it lacks what would have come later.
    pub(crate) fn is_complete(&self) -> bool {
        self.record.status == RunStatus::Completed
    }

    /// Returns the generated requests, in the order of their numbers.
    pub(crate) fn requests(&self) -> &[GeneratedRequest] {
        self.journal.as_ref().map_or(&[], |journal| &journal.requests)
    }

    /// Returns the scoring calls, in the order in which they began.
    pub(crate) fn scores(&self) -> &[ScoreCall] {
        self.journal.as_ref().map_or(&[], |journal| &journal.scores)
    }

    /// Returns the number of lines of the journal that could not be read.
    pub(crate) fn skipped_lines(&self) -> u64 {
        self.journal.as_ref().map_or(0, |journal| journal.skipped)
    }
}

fn read_record(file: &Path) -> Result<RunRecord, Error> {
    let text = fs::read(file).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => {
            Error::NoRecord { path: file.to_path_buf(), cause: "there is no such file".to_owned() }
        }
        _ => Error::Io { path: file.to_path_buf(), source },
    })?;
    let no_record = |error: serde_json::Error| Error::NoRecord {
        path: file.to_path_buf(),
        cause: error.to_string(),
    };
    let value: Value = serde_json::from_slice(&text).map_err(no_record)?;
    let Some(version) = value.get("schema_version").and_then(Value::as_str) else {
        let cause = "it has no schema_version".to_owned();
        return Err(Error::NoRecord { path: file.to_path_buf(), cause });
    };
    if major(version).is_none_or(|version| Some(version) > major(SCHEMA_VERSION)) {
        return Err(Error::OtherSchema { path: file.to_path_buf(), version: version.to_owned() });
    }
    RunRecord::deserialize(&value)
        .map_err(|_| Error::OtherSchema { path: file.to_path_buf(), version: version.to_owned() })
}

/// Returns the first number of a schema version.
fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}
