//! The errors of exports.

use std::{io, path::PathBuf};

/// Why runs could not be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A run could not be read.
    #[error(transparent)]
    Run(#[from] llem_report::Error),
    /// The export would replace something.
    #[error(
        "{0} is there already, and nothing is overwritten: remove it, or give another place with --output"
    )]
    Exists(PathBuf),
    /// The same run is already in the file.
    #[error(
        "{path} has a row of run {run} already: leave this run out, or give another file with --output"
    )]
    HasRun {
        /// The file.
        path: PathBuf,
        /// The run's name.
        run: String,
    },
    /// One run is given twice.
    #[error("run {0} is given twice: name each run once")]
    Twice(String),
    /// The file is of another tool, or of another version of it.
    #[error(
        "{path} has other columns than {expected}, so no row is appended: give another file with --output"
    )]
    OtherColumns {
        /// The file.
        path: PathBuf,
        /// The tool and its version.
        expected: &'static str,
    },
    /// The tool's format demands a number that the run does not have.
    #[error("run {run} has no {number}, which {tool} demands: {reason}")]
    Lacks {
        /// The run's name.
        run: String,
        /// The number that is demanded, such as an energy.
        number: &'static str,
        /// The tool whose format it is.
        tool: &'static str,
        /// Why the run does not have the number, with the remedy.
        reason: String,
    },
    /// The journal of a run cannot be read.
    #[error("{path} cannot be read: {source}; make it readable, or leave this run out")]
    Journal {
        /// The file.
        path: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
    /// A file cannot be written, or an earlier export cannot be read.
    #[error("{path}: {source}; give a place that can be written with --output")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
}

impl Error {
    /// Returns true if the input must change, rather than the state of the disk.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }

    /// Returns a function that says which path an error of the file system is about.
    pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
