//! The errors of reading runs and of drawing their charts.

use std::{io, path::PathBuf};

/// Why a run could not be read, or a chart not be drawn.
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
    /// The file of peaks cannot be read.
    #[error("{path} holds no peaks: {cause}; give the peaks.json that llem doctor --peaks wrote")]
    Peaks {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        cause: String,
    },
    /// The folder holds neither a record nor a journal.
    #[error(
        "{0} is no run's folder: it holds no run.json and no events.jsonl; give the folder that llem exec printed"
    )]
    NoRun(PathBuf),
    /// The record has a schema that this version cannot read.
    #[error(
        "{path} is of schema version {version:?}, which this version of llem does not read: use the version that wrote it"
    )]
    OtherSchema {
        /// The file of the record.
        path: PathBuf,
        /// The schema version in the file.
        version: String,
    },
    /// A chart cannot be written as a drawing.
    #[error("the chart {name} cannot be drawn: {cause}; draw it with --format svg")]
    Figure {
        /// The chart's id.
        name: String,
        /// Why it cannot be drawn.
        cause: String,
    },
}
