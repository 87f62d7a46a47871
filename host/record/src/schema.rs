//! The whole record of a run, as it is in `run.json`.

use crate::{
    event::RunStatus,
    hardware::{BaselineRecord, DeviceRecord, TimelineRecord},
    model::{AdapterRecord, ModelRecord},
    plan::RunPlan,
    report::{Artifact, Metric, Series, Table},
    request::BatchRecord,
    score::ScoreGroup,
    statistics::RequestGroup,
    window::WindowRecord,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the record's schema. A change that breaks readers raises the first number.
pub const SCHEMA_VERSION: &str = "3.0";

/// Everything that is known of a run, and all that is needed to run it again.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// The version of this schema.
    pub schema_version: String,
    /// The run's name: the name of its folder unless `--out` gave another.
    pub id: String,
    /// How the run ended, or `running`.
    pub status: RunStatus,
    /// Why the run ended; `null` if it completed.
    pub error: Option<String>,
    /// When the run began: RFC 3339, UTC. Empty in a recovered record if this is not known.
    pub started_at: String,
    /// How long the run took, ns. It is 0 while the run goes on, and goes to the last event of the journal if it was killed.
    pub wall_ns: u64,
    /// How this record was rebuilt from the journal. Absent if the run itself wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered: Option<Recovery>,
    /// What was known before the run began.
    #[serde(flatten)]
    pub plan: RunPlan,
    /// The loaded models, in the order of loading.
    pub models: Vec<ModelRecord>,
    /// Changes of LoRA adapters, in order of time.
    #[serde(default)]
    pub adapters: Vec<AdapterRecord>,
    /// The continuous batches, in the order of opening.
    #[serde(default)]
    pub batches: Vec<BatchRecord>,
    /// The phases, in the order of ending.
    pub phases: Vec<PhaseRecord>,
    /// Generated requests, summarised by model, phase and label.
    pub groups: Vec<RequestGroup>,
    /// Scoring, summarised by model, phase and kind.
    #[serde(default)]
    pub score_groups: Vec<ScoreGroup>,
    /// The windows of the script, in the order of closing.
    pub windows: Vec<WindowRecord>,
    /// The machine's devices. Empty if the meter was not used.
    #[serde(default)]
    pub devices: Vec<DeviceRecord>,
    /// The idle baselines, in order of time.
    pub baselines: Vec<BaselineRecord>,
    /// The files and the cost of sampling the devices.
    #[serde(default)]
    pub timeline: Option<TimelineRecord>,
    /// The results that the script reported.
    pub metrics: Vec<Metric>,
    /// The curves that the script reported.
    pub series: Vec<Series>,
    /// The tables that the script reported.
    pub tables: Vec<Table>,
    /// The files that the script wrote.
    pub artifacts: Vec<Artifact>,
    /// Warnings: what a reader of the results must know. A warning of the script begins with `the script: `, and the others are
    /// the host's. Records before schema 3.0 do not distinguish them.
    pub warnings: Vec<String>,
}

/// How `llem recover` rebuilt a record from the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Recovery {
    /// The schema version of the journal. What an older schema lacks is not in the record. Absent if the version is not
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal_schema: Option<String>,
    /// Number of lines of the journal that are in the record.
    pub lines: u64,
    /// Number of lines that are not in the record, because they were incomplete or of another version of llem.
    pub skipped_lines: u64,
    /// Whether the journal has the end of the run. If not, `status` is `killed`, and `wall_ns` and open phases go to the last
    /// event of the journal.
    pub ended: bool,
    /// Whether command line, components, parameters, grants, seed, limits and machine are known. If not, they are empty.
    pub plan_known: bool,
}

/// A phase that ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Phase")]
pub struct PhaseRecord {
    /// The phase's name after the names of the phases around it, joined by `/`.
    pub phase: String,
    /// When the phase began, ns since the run began.
    pub started_ns: u64,
    /// How long the phase took, ns.
    pub wall_ns: u64,
}
