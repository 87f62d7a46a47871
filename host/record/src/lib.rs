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
mod distribution;
pub mod energy;
mod energy_sums;
pub mod environment;
mod error;
pub mod event;
pub mod generation;
mod group_key;
pub mod hardware;
pub mod journal;
pub mod model;
mod outline;
pub mod plan;
pub mod recorder;
pub mod recover;
pub mod report;
pub mod request;
pub mod schema;
pub mod score;
pub mod statistics;
pub mod timeline;
pub mod window;

pub use builder::RecordBuilder;
pub use distribution::Distribution;
pub use environment::Build;
pub use error::Error;
pub use event::{Event, Line, Status};
pub use journal::Journal;
pub use plan::Plan;
pub use recorder::Recorder;
pub use recover::{Recovered, recover};
pub use schema::RunRecord;

/// Seconds since 1970 as RFC 3339, UTC.
pub fn date(unix_seconds: u64) -> String {
    let moment = jiff::Timestamp::from_second(unix_seconds as i64);
    moment.map_or_else(|_| unix_seconds.to_string(), |moment| moment.to_string())
}
