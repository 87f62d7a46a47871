//! The run record: one folder a run.
//!
//! ```text
//! runs/20261124T101500Z-quickstart/
//!   run.json        the whole record, schema-versioned; written at the start and at the end
//!   events.jsonl    the journal: a line an event, appended when it happened
//!   timeline/       what a sampler read of the devices, Parquet
//!   artifacts/      files that the script wrote
//! ```
//!
//! The journal is the truth: after a `kill -9` all that was measured is in it, and `run.json` still
//! says `running`, until [`recover()`] rebuilds it.

pub mod activity;
pub mod builder;
pub mod energy;
pub mod environment;
pub mod event;
pub mod generation;
pub mod hardware;
pub mod journal;
pub mod recorder;
pub mod recover;
pub mod report;
pub mod request;
pub mod schema;
pub mod score;
pub mod statistics;
pub mod timeline;

pub use builder::RecordBuilder;
pub use environment::Build;
pub use event::{Event, Line};
pub use journal::Journal;
pub use recorder::Recorder;
pub use recover::{Recovered, recover};
pub use schema::{Plan, RunRecord, Status};

/// Why a record could not be written or recovered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system said no.
    #[error("{path}: {source}")]
    Io {
        /// What was to be written.
        path: std::path::PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// The folder given for the run already holds something.
    #[error("{0} is not empty: give --out a new folder, so that no record is overwritten")]
    NotEmpty(std::path::PathBuf),
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
    NoRun(std::path::PathBuf),
    /// Another process writes the journal.
    #[error("the run in {0} is still going on: wait for its end, or end it with Ctrl-C")]
    StillRunning(std::path::PathBuf),
    /// The record is complete, but this version cannot read it.
    #[error(
        "{path} is complete, but of schema version {version:?}, which this version of llem does not read: use the version that wrote it"
    )]
    OtherSchema {
        /// The record.
        path: std::path::PathBuf,
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

/// Seconds since 1970 as RFC 3339, UTC.
pub fn date(unix_seconds: u64) -> String {
    let moment = jiff::Timestamp::from_second(unix_seconds as i64);
    moment.map_or_else(|_| unix_seconds.to_string(), |moment| moment.to_string())
}
