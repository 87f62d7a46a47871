//! The errors of writing and recovering a record.

use std::{io, path::PathBuf};

/// Why a record could not be written or recovered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
    /// The folder given for the run is not empty.
    #[error("{0} is not empty: give --out a new folder, so that no record is overwritten")]
    NotEmpty(PathBuf),
    /// The script has already written an artifact with this name.
    #[error(
        "artifact '{0}' is there already: give each artifact a name of its own, so that none is lost"
    )]
    ArtifactExists(String),
    /// A line of the journal would be longer than the allowed number of bytes.
    #[error("a line of the record would have more than {most} bytes: report less at a time")]
    TooLong {
        /// The longest allowed line, bytes.
        most: u64,
    },
    /// The folder has no journal of a run.
    #[error(
        "{0} is no run's folder: it holds no events.jsonl with a line of a run; give the folder that llem exec printed"
    )]
    NoRun(PathBuf),
    /// Another process still writes the journal.
    #[error("the run in {0} is still going on: wait for its end, or end it with Ctrl-C")]
    StillRunning(PathBuf),
    /// The record is complete, but it has a schema that this version cannot read.
    #[error(
        "{path} is complete, but of schema version {version:?}, which this version of llem does not read: use the version that wrote it"
    )]
    OtherSchema {
        /// The file of the record.
        path: PathBuf,
        /// The schema version in the file.
        version: String,
    },
}

impl Error {
    /// Returns true if the error is in what the user gave, rather than in the machine.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }

    /// Returns true if a line was refused because it is too long.
    pub fn is_too_long(&self) -> bool {
        matches!(self, Self::TooLong { .. })
    }
}
