//! The errors of reading runs that are to be compared.

use std::{io, path::PathBuf};

/// Why a run could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    #[error("{path} cannot be read: {source}; give the folder of a run, or its run.json")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
    /// The file is no record.
    #[error("{path} is no record of a run: {cause}; give the folder of a run, or its run.json")]
    NoRecord {
        /// The file of the record.
        path: PathBuf,
        /// Why it cannot be read as a record.
        cause: String,
    },
    /// The record has a schema that this version cannot read.
    #[error(
        "{path} has schema version {version:?}, which this version of llem does not read: use the version that wrote it"
    )]
    OtherSchema {
        /// The file of the record.
        path: PathBuf,
        /// The schema version in the file.
        version: String,
    },
    /// The record was written when the run began, and not completed.
    #[error(
        "the run in {0} has not ended, or it was killed: wait for its end, or complete its record with llem recover {0}"
    )]
    NotEnded(PathBuf),
}
