//! The run record: one folder for each run.
//!
//! ```text
//! runs/20261124T101500Z-quickstart/
//!   run.json        the whole record, with a schema version; written at the start and at the end
//!   events.jsonl    the journal: one line for each event, appended when it happened
//!   timeline/       samples of the devices, Parquet
//!   artifacts/      files that the script wrote
//! ```
//!
//! The journal is the truth. After a `kill -9`, it holds everything that was measured, and `run.json` still says
//! `running` until [`recover()`] rebuilds it.
//!
//! # Start at
//! - [`Recorder`]: writes the record of a run while the run goes on
//! - [`Event`] and [`JournalLine`]: what the journal holds
//! - [`RunRecord`]: what `run.json` holds
//! - [`RecordBuilder`]: turns events into the record
//! - [`recover()`]: rebuilds a record from its journal
//!
//! # Example
//! An event as a line of the journal, and back:
//!
//! ```
//! use llem_record::{Event, JournalLine};
//!
//! let event = Event::PhaseEnded { phase: "measure".to_owned(), wall_ns: 30 };
//! let text = serde_json::to_string(&JournalLine { t_ns: 40, event })?;
//! assert_eq!(text, r#"{"t_ns":40,"event":"phase-ended","phase":"measure","wall_ns":30}"#);
//!
//! let line: JournalLine = serde_json::from_str(&text)?;
//! assert_eq!(line.t_ns, 40);
//! assert!(matches!(line.event, Event::PhaseEnded { wall_ns: 30, .. }));
//! # Ok::<(), serde_json::Error>(())
//! ```

mod activity;
mod builder;
mod distribution;
mod energy;
mod energy_sums;
mod environment;
mod error;
mod event;
mod generation;
mod group_key;
mod hardware;
mod journal;
mod model;
mod outline;
mod plan;
mod recorder;
mod recover;
mod report;
mod request;
mod schema;
mod score;
mod statistics;
mod synthetic;
mod timeline;
mod window;

pub use activity::{Activity, EstimatedFlops};
pub use builder::RecordBuilder;
pub use distribution::{Distribution, Samples};
pub use energy::{
    DomainRecord, LackRecord, OPERATIONS_AND_BYTES, PhaseEnergyRecord, SequenceEnergy, per_token,
};
pub use environment::{Build, CgroupLimits, Host, MeteringRecord, PowerModelRecord};
pub use error::Error;
pub use event::{Event, JournalLine, RunStatus};
pub use generation::{
    BatchProgressRecord, BatchSequenceRecord, GenerationRecord, RequestTimes, SequenceProgress,
    SequenceRecord, SequenceTimes,
};
pub use hardware::{
    BaselineRecord, CourseRecord, DeviceRecord, DeviceSpanRecord, GaugeRecord, IdlePowerRecord,
    TimelineRecord,
};
pub use model::{
    AdapterChange, AdapterRecord, FileDigest, ModelRecord, Parallelism, RankRecord, UsedAdapter,
};
pub use plan::{ComponentRecord, ComponentSource, GrantedDataset, GrantedModel, Grants, RunPlan};
pub use recorder::Recorder;
pub use recover::{RecoveredRun, rebuild_from_journal, recover};
pub use report::{Artifact, Metric, Series, Table};
pub use request::{
    BatchRecord, BatchRequestRecord, ChosenBy, PromptForm, PromptRecord, RequestRecord,
    SamplingRecord,
};
pub use schema::{PhaseRecord, Recovery, RunRecord, SCHEMA_VERSION};
pub use score::{ScoreGroup, ScoreProgressRecord, ScoreRecord, ScoreResult};
pub use statistics::RequestGroup;
pub use synthetic::{FigureOrigin, FigureRecord, ReplayedRun, SyntheticHostRecord};
pub use timeline::{TimelineRow, TimelineWriter, WrittenFiles};
pub use window::{DeviceEnergyRecord, MemoryPeakRecord, RankActivity, SegmentRecord, WindowRecord};

/// Formats a moment, in seconds since 1970-01-01 UTC, as RFC 3339 in UTC.
///
/// ```
/// assert_eq!(llem_record::date(1_795_861_800), "2026-11-28T10:30:00Z");
/// ```
pub fn date(unix_seconds: i64) -> String {
    let moment = jiff::Timestamp::from_second(unix_seconds);
    moment.map_or_else(|_| unix_seconds.to_string(), |moment| moment.to_string())
}
