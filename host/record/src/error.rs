//! Why a record is not written or recovered.

use std::{io, path::PathBuf};

/// Why a record could not be written or recovered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// What was to be written.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The folder given for the run already holds something.
    #[error("{0} is not empty: give --out a new folder, so that no record is overwritten")]
    NotEmpty(PathBuf),
    /// The script has written a file of this name.
    #[error(
        "artifact '{0}' is there already: give each artifact a name of its own, so that none is lost"
    )]
    ArtifactExists(String),
    /// A line of the journal would be longer than allowed.
    #[error("a line of the record would have more than {most} bytes: report less at a time")]
    TooLong {
        /// Bytes that it may have.
        most: u64,
    },
    /// There is no journal in the folder.
    #[error(
        "{0} is no run's folder: it holds no events.jsonl with a line of a run; give the folder that llem exec printed"
    )]
    NoRun(PathBuf),
    /// Another process writes the journal.
    #[error("the run in {0} is still going on: wait for its end, or end it with Ctrl-C")]
    StillRunning(PathBuf),
    /// The record is complete, but this version cannot read it.
    #[error(
        "{path} is complete, but of schema version {version:?}, which this version of llem does not read: use the version that wrote it"
    )]
    OtherSchema {
        /// The record.
        path: PathBuf,
        /// What it says of itself.
        version: String,
    },
}

impl Error {
    /// Whether what was given is at fault, rather than the machine.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }

    /// Whether a line was refused because it is too long.
    pub fn is_too_long(&self) -> bool {
        matches!(self, Self::TooLong { .. })
    }
}
