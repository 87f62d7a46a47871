//! `run.json`: the whole record of a run.

pub use crate::environment::Host;
use crate::{
    environment::{Build, MeteringRecord},
    event::{
        AdapterRecord, Artifact, BatchRecord, Metric, ModelRecord, Series, Table, WindowRecord,
    },
    hardware::{BaselineRecord, DeviceRecord, TimelineRecord},
    score::ScoreGroup,
    statistics::Group,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    pub groups: Vec<Group>,
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

/// What is known of a run before it begins. Its fields stand beside the others in `run.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Version of this program.
    pub llem_version: String,
    /// The command line; `(not recorded)` stands where it may hold a secret.
    pub command: Vec<String>,
    /// The components that held the method.
    pub components: Vec<ComponentRecord>,
    /// Every declared parameter with the value that it had; `(not recorded)` stands where a text may be a secret.
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// What was granted.
    pub grants: Grants,
    /// The seed of everything random.
    pub seed: u64,
    /// Limits that were in force.
    pub limits: BTreeMap<String, u64>,
    /// How the program was built.
    #[serde(default)]
    pub build: Build,
    /// The machine, and what the process may use of it.
    pub host: Host,
    /// Environment variables that change results, or tell where ranks are, with their values; `(not recorded)` stands
    /// where a value may hold a secret.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// How the run meters; absent in records before schema 3.0.
    #[serde(default)]
    pub metering: Option<MeteringRecord>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It has not ended; or it was killed, and the journal holds all that it measured: `llem recover` rebuilds the record.
    Running,
    /// As the script meant.
    Completed,
    /// Midway; the error says why.
    Failed,
    /// By Ctrl-C or a termination signal.
    Interrupted,
    /// Not by itself: it was killed, it crashed, or the machine went down. Only a recovered record says so.
    Killed,
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

/// A component.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ComponentRecord {
    /// `experiment`, `runner`, `warmup`, `workload` or `metrics`, joined by `+` where it is several.
    pub role: String,
    /// Its name in its own words.
    pub name: String,
    /// Its version in its own words.
    pub version: String,
    /// SHA-256 of the file.
    pub digest: String,
    /// The file as it was given, or the name of one that ships with llem.
    pub file: String,
    /// Whether it took part without having been given: the runner, and policies in place of those that were not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_shipped: bool,
}

/// What the component was given beyond the contract.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Grants {
    /// The model that it may load.
    pub model: String,
    /// The adapters that it may attach.
    #[serde(default)]
    pub adapters: Vec<String>,
    /// The number format, where the command line gave one.
    pub dtype: Option<String>,
    /// The device.
    pub device: String,
    /// The datasets.
    pub datasets: Vec<Dataset>,
}

/// A granted file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Dataset {
    /// The name that the script knows.
    pub name: String,
    /// The file.
    pub file: String,
    /// SHA-256 of its content.
    pub digest: String,
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
