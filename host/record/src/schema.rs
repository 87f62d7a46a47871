//! `run.json`: the whole record of a run.

use crate::{
    event::Status,
    hardware::{BaselineRecord, DeviceRecord, TimelineRecord},
    model::{AdapterRecord, ModelRecord},
    plan::Plan,
    report::{Artifact, Metric, Series, Table},
    request::BatchRecord,
    score::ScoreGroup,
    statistics::RequestGroup,
    window::WindowRecord,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Version of the record's schema. A change that breaks readers raises the first number.
pub const SCHEMA_VERSION: &str = "3.0";

/// Everything that is known of a run, and all that is needed to run it again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// Version of this schema.
    pub schema_version: String,
    /// The run's name: the name of its folder unless `--out` gave another.
    pub id: String,
    /// How it ended, or `running`.
    pub status: Status,
    /// Why it ended so, unless it completed.
    pub error: Option<String>,
    /// When it began: RFC 3339, UTC; empty in a recovered record where nothing tells it.
    pub started_at: String,
    /// How long it took; 0 while it runs. Of a killed run, until the last moment that the journal tells.
    pub wall_ns: u64,
    /// That this record was rebuilt from the journal; absent in one that the run itself wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered: Option<Recovery>,
    /// What was known before it began.
    #[serde(flatten)]
    pub plan: Plan,
    /// Models, in the order of loading.
    pub models: Vec<ModelRecord>,
    /// What was done with LoRA adapters, in order.
    #[serde(default)]
    pub adapters: Vec<AdapterRecord>,
    /// Continuous batches, in the order of opening.
    #[serde(default)]
    pub batches: Vec<BatchRecord>,
    /// Phases, in the order of ending.
    pub phases: Vec<Phase>,
    /// Generated requests, summarised by model, phase and label.
    pub groups: Vec<RequestGroup>,
    /// Scoring, summarised by model, phase and kind.
    #[serde(default)]
    pub score_groups: Vec<ScoreGroup>,
    /// Windows of the script.
    pub windows: Vec<WindowRecord>,
    /// The machine's devices; empty where nobody asked for them.
    #[serde(default)]
    pub devices: Vec<DeviceRecord>,
    /// Idle baselines.
    pub baselines: Vec<BaselineRecord>,
    /// What sampling the devices left and cost.
    #[serde(default)]
    pub timeline: Option<TimelineRecord>,
    /// Results, as the script reports them.
    pub metrics: Vec<Metric>,
    /// Curves, as the script reports them.
    pub series: Vec<Series>,
    /// Tables, as the script reports them.
    pub tables: Vec<Table>,
    /// Files that the script wrote.
    pub artifacts: Vec<Artifact>,
    /// What a reader must know. One that begins with `the script: ` is as the script reports it, others are the host's;
    /// records before schema 3.0 do not tell them apart.
    pub warnings: Vec<String>,
}

/// How a record was rebuilt from the journal, by `llem recover`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recovery {
    /// Version of the schema that the journal's lines have. What an older one lacks is not in the record. Absent where
    /// nothing tells it, and in records that were rebuilt before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_schema: Option<String>,
    /// Lines of the journal that the record holds.
    pub lines: u64,
    /// Lines that it does not hold, for they were torn or of another version of llem.
    pub skipped_lines: u64,
    /// Whether the journal tells how the run ended. If not, `status` is `killed`, and `wall_ns` and phases that were
    /// open go until the last moment that the journal tells.
    pub ended: bool,
    /// Whether command line, components, parameters, grants, seed, limits and machine are known; if not, they are empty.
    pub plan_known: bool,
}

/// A phase that ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    /// Its name within the phases around it, joined by `/`.
    pub phase: String,
    /// When it began.
    pub started_ns: u64,
    /// How long it took.
    pub wall_ns: u64,
}
