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
//! says `running`.

pub mod activity;
pub mod event;
pub mod hardware;
pub mod journal;
pub mod recorder;
pub mod schema;
pub mod score;
pub mod statistics;
pub mod timeline;

pub use event::{Event, Line};
pub use journal::Journal;
pub use recorder::Recorder;
pub use schema::{Plan, RunRecord, Status};

/// Why a record could not be written.
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
}

/// Seconds since 1970 as RFC 3339, UTC.
pub fn date(unix_seconds: u64) -> String {
    let moment = jiff::Timestamp::from_second(unix_seconds as i64);
    moment.map_or_else(|_| unix_seconds.to_string(), |moment| moment.to_string())
}
