//! The messages of a `.wandb` file that llem writes: a part of `wandb/proto/wandb_internal.proto` as in wandb 0.31.0, with its
//! field numbers. What llem leaves out has its default there.

use prost::{Message, Oneof};

/// One record of the file.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Record {
    /// The number of the record in the file, from 1.
    #[prost(int64, tag = "1")]
    pub num: i64,
    #[prost(oneof = "RecordType", tags = "2, 3, 6, 12, 17, 18, 21")]
    pub record_type: Option<RecordType>,
}

/// What a record holds.
#[derive(Clone, PartialEq, Oneof)]
pub(super) enum RecordType {
    #[prost(message, tag = "2")]
    History(HistoryRecord),
    #[prost(message, tag = "3")]
    Summary(SummaryRecord),
    #[prost(message, tag = "6")]
    Files(FilesRecord),
    #[prost(message, tag = "12")]
    Metric(MetricRecord),
    #[prost(message, tag = "17")]
    Run(Box<RunRecord>),
    #[prost(message, tag = "18")]
    Exit(RunExitRecord),
    #[prost(message, tag = "21")]
    Header(HeaderRecord),
}

/// The first record of a file.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HeaderRecord {
    #[prost(message, optional, tag = "1")]
    pub version_info: Option<VersionInfo>,
}

/// Who wrote the file, and the oldest version of W&B that reads it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct VersionInfo {
    #[prost(string, tag = "1")]
    pub producer: String,
    #[prost(string, tag = "2")]
    pub min_consumer: String,
}

/// What the run is.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RunRecord {
    #[prost(string, tag = "1")]
    pub run_id: String,
    #[prost(string, tag = "3")]
    pub project: String,
    #[prost(message, optional, tag = "4")]
    pub config: Option<ConfigRecord>,
    #[prost(string, tag = "8")]
    pub display_name: String,
    #[prost(string, tag = "9")]
    pub notes: String,
    #[prost(string, repeated, tag = "10")]
    pub tags: Vec<String>,
    #[prost(message, optional, tag = "17")]
    pub start_time: Option<Timestamp>,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct Timestamp {
    /// Seconds since 1970-01-01 UTC.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// The rest, ns.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

/// Values of the config.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ConfigRecord {
    #[prost(message, repeated, tag = "1")]
    pub update: Vec<Item>,
}

/// A row of the history.
#[derive(Clone, PartialEq, Message)]
pub(super) struct HistoryRecord {
    #[prost(message, repeated, tag = "1")]
    pub item: Vec<Item>,
    #[prost(message, optional, tag = "2")]
    pub step: Option<HistoryStep>,
}

/// The number of a row.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct HistoryStep {
    #[prost(int64, tag = "1")]
    pub num: i64,
}

/// Values of the summary.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SummaryRecord {
    #[prost(message, repeated, tag = "1")]
    pub update: Vec<Item>,
}

/// A value with its key. `ConfigItem`, `HistoryItem` and `SummaryItem` have the same fields.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Item {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(string, tag = "16")]
    pub value_json: String,
}

/// How a value of the history is drawn.
#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricRecord {
    #[prost(string, tag = "1")]
    pub name: String,
    /// The key that is drawn on the x axis.
    #[prost(string, tag = "4")]
    pub step_metric: String,
}

/// Files of the run that are uploaded.
#[derive(Clone, PartialEq, Message)]
pub(super) struct FilesRecord {
    #[prost(message, repeated, tag = "1")]
    pub files: Vec<FilesItem>,
}

/// A file, by its path within `files/`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct FilesItem {
    #[prost(string, tag = "1")]
    pub path: String,
}

/// How the run ended.
#[derive(Clone, Copy, PartialEq, Message)]
pub(super) struct RunExitRecord {
    #[prost(int32, tag = "1")]
    pub exit_code: i32,
    /// How long the run took, s.
    #[prost(int32, tag = "2")]
    pub runtime: i32,
}
