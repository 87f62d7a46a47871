//! What happens in a run: a line of `events.jsonl` each.

use crate::hardware::{BaselineRecord, DeviceRecord, DeviceSpanRecord, TimelineRecord};
pub use crate::score::{ScoreProgressRecord, ScoreRecord, ScoreResult};
pub use crate::{
    activity::{Activity, EstimatedFlops},
    energy::{DomainRecord, LackRecord, PhaseEnergyRecord, SequenceEnergy},
    generation::{
        BatchProgressRecord, BatchSequenceRecord, GenerationRecord, RequestTimes, SequenceProgress,
        SequenceRecord, SequenceTimes,
    },
    report::{Artifact, Metric, Series, Table},
    request::{
        BatchRecord, BatchRequestRecord, PromptForm, PromptRecord, RequestRecord, SamplingRecord,
    },
};
use llem_quantity::ReadingRecord;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One line of the journal.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// Nanoseconds since the run began.
    pub t_ns: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run began.
    Started {
        /// The run's name.
        id: String,
        /// Version of this program.
        llem_version: String,
        /// Version of the schema that the journal's lines have; journals before schema 3.0 do not tell.
        #[serde(default = "before_3")]
        schema_version: String,
        /// When `t_ns` was 0, in nanoseconds since 1970-01-01 UTC: the way to other tools' logs.
        unix_ns: i64,
        /// What was known before, so that the journal alone tells the whole run; absent in older journals.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<Box<crate::Plan>>,
    },
    /// A model was loaded.
    Model(ModelRecord),
    /// A LoRA adapter was attached, merged, unmerged or detached.
    Adapter(AdapterRecord),
    /// A phase began.
    PhaseBegan {
        /// Names of the open phases, outermost first, joined by `/`.
        phase: String,
    },
    /// A phase ended.
    PhaseEnded {
        /// Names of the open phases, outermost first, joined by `/`.
        phase: String,
        /// How long it took.
        wall_ns: u64,
    },
    /// A request was generated and measured.
    Generation(GenerationRecord),
    /// A continuous batch was opened.
    BatchOpened(BatchRecord),
    /// A request was added to a continuous batch.
    BatchRequest(BatchRequestRecord),
    /// Tokens of sequences of a continuous batch that have not ended.
    BatchProgress(BatchProgressRecord),
    /// A sequence of a continuous batch ended.
    BatchSequence(BatchSequenceRecord),
    /// Continuations or texts were scored and measured.
    Score(ScoreRecord),
    /// A scoring that goes on has completed some more.
    ScoreProgress(ScoreProgressRecord),
    /// A window of the script was closed.
    Window(WindowRecord),
    /// Idle power was measured, or found as an earlier run measured it.
    Baseline(BaselineRecord),
    /// The machine's devices, once somebody has asked for them.
    Devices {
        /// The CPU first.
        devices: Vec<DeviceRecord>,
    },
    /// What sampling the devices left and cost.
    Timeline(TimelineRecord),
    /// A result, as the script reports it.
    Metric(Metric),
    /// A curve, as the script reports it.
    Series(Series),
    /// A table, as the script reports it.
    Table(Table),
    /// The script wrote a file.
    Artifact(Artifact),
    /// Something that a reader must know, as the host says.
    Warning {
        /// What.
        message: String,
    },
    /// Something that a reader must know, as the script says. Journals before schema 3.0 have a `warning` of it.
    ScriptWarning {
        /// What, in the script's words.
        message: String,
    },
    /// A log line.
    Log {
        /// `debug`, `info`, `warn`, `error`, `stdout` or `stderr`.
        level: String,
        /// What it says. Of `stdout` and `stderr`, a line; one of more than 64 KiB is several of these.
        message: String,
    },
    /// The run ended.
    Ended {
        /// How.
        status: crate::Status,
        /// Why, unless it completed.
        error: Option<String>,
    },
}

impl Event {
    /// A warning as readers are shown it: one of the script says whose it is. `None` for other events.
    pub fn warning(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Warning { message } => Some(message.into()),
            Self::ScriptWarning { message } => Some(format!("the script: {message}").into()),
            _ => None,
        }
    }
}

/// What a journal has the schema of that does not tell.
fn before_3() -> String {
    "2.0".to_owned()
}

/// A loaded model.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ModelRecord {
    /// Its number, by which what ran on it names it: models are numbered from 0 in the order of loading. Absent in older
    /// records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The source as it was resolved.
    pub source: String,
    /// The architecture's name in config.json.
    pub architecture: String,
    /// What identifies config and weights. `blake3:` covers every byte, `blake3-headers:` the beginning of each weight
    /// file, `sha256-synthetic:` config and seed.
    pub digest: String,
    /// Every file that it was made of, tokenizer and chat template among them; none of a synthetic one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileDigest>,
    /// The seed of a synthetic model's weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Distinct weights.
    pub parameters: u64,
    /// Bytes of weights in memory, on all ranks.
    pub weight_bytes: u64,
    /// Bytes of them that a decode step reads, if it reads every expert: all but tables of which it reads a row for each
    /// token. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode_weight_bytes: Option<u64>,
    /// Number format of weights and KV cache; of a quantised model, of what is not quantised.
    pub dtype: String,
    /// Formats of quantised weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<String>,
    /// The device's id; of a split model, that of its first rank.
    pub device: String,
    /// Whether the CPU computed it all the same, as its config says: no measurement of that device.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stands_in: bool,
    /// How it is split.
    #[serde(default)]
    pub parallelism: Parallelism,
    /// Its ranks; one unless it is split.
    #[serde(default)]
    pub ranks: Vec<RankRecord>,
    /// Time from the call to the model being ready, without identifying it (`digest_ns`).
    pub load_ns: u64,
    /// Time that identifying it took: hashing it, or looking up hashes of files that have not changed. 0 of a synthetic
    /// model, and in records that do not tell.
    #[serde(default)]
    pub digest_ns: u64,
}

/// One of the files that a model was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileDigest {
    /// Its path within the model's folder.
    pub name: String,
    /// Its size, bytes.
    pub bytes: u64,
    /// `blake3:` and what `b3sum` prints of it; `blake3-headers:` where only its beginning was hashed.
    pub digest: String,
}

/// How a model is split over ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Parallelism {
    /// Ranks that share every product.
    pub tensor: u32,
    /// Stages that share the layers.
    pub pipeline: u32,
    /// Replicas that share the requests. More than one changes what is measured.
    pub data: u32,
    /// Whether whole experts are dealt out among the tensor ranks.
    pub experts: bool,
    /// Whether both factors of an adapter are cut among the tensor ranks.
    pub sharded_adapters: bool,
    /// Parts that a pass is cut into; absent means as many as stages where that pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microbatches: Option<u32>,
}

impl Default for Parallelism {
    fn default() -> Self {
        let (tensor, pipeline, data) = (1, 1, 1);
        let (experts, sharded_adapters, microbatches) = (false, false, None);
        Self { tensor, pipeline, data, experts, sharded_adapters, microbatches }
    }
}

/// One rank of a model.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RankRecord {
    /// Its device's id, after its machine's address where that is another.
    pub device: String,
    /// The first of its layers.
    pub first_layer: u32,
    /// How many it has.
    pub layers: u32,
    /// Bytes of its weights.
    pub weight_bytes: u64,
}

/// One rank of a split model in a span.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RankActivity {
    /// Its device's id.
    pub device: String,
    /// Time that it spent in communication with other ranks, waiting for them included, s.
    pub communication: ReadingRecord,
}

/// A LoRA adapter, and what has just been done with it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct AdapterRecord {
    /// The model that it was done to, by its number; absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// What requests call it.
    pub name: String,
    /// What has been done.
    pub change: AdapterChange,
    /// How long that took.
    pub wall_ns: u64,
    /// The source as it was resolved.
    pub source: String,
    /// What identifies its config and tensors, as of a model.
    pub digest: String,
    /// The model that its config says it was trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_model: Option<String>,
    /// The highest rank of its factors.
    pub rank: u32,
    /// Whether its weights are split into magnitude and direction (DoRA).
    pub dora: bool,
    /// Modules that it changes.
    pub modules: u32,
    /// Numbers that it brings.
    pub parameters: u64,
    /// Bytes of them in memory.
    pub weight_bytes: u64,
}

/// What is done with an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AdapterChange {
    /// Its factors are multiplied beside the base weights from now on.
    Attached,
    /// It is part of the weights from now on.
    Merged,
    /// The weights are the base model's again; it is attached.
    Unmerged,
    /// It is gone.
    Detached,
}

/// The adapter that a sequence ran with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct UsedAdapter {
    /// Its name.
    pub name: String,
    /// `attached` or `merged`.
    pub mode: String,
}

/// A measured span.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct WindowRecord {
    /// The label it was opened with.
    pub label: String,
    /// The open phases, joined by `/`.
    pub phase: String,
    /// When it opened.
    pub started_ns: u64,
    /// How long it was open.
    pub wall_ns: u64,
    /// Energy of each device and domain, J.
    pub energy: Vec<DeviceEnergyRecord>,
    /// Their sum over the CPU and the devices that held a model while the window was open: over what `energy_covers`
    /// names. Unavailable where a device that did the work is not measured.
    pub energy_total: ReadingRecord,
    /// What `energy_total` is the sum of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub energy_covers: Vec<DomainRecord>,
    /// Domains of the CPU and of devices that did the work which are not in `energy_total`, where there is one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub energy_lacks: Vec<LackRecord>,
    /// The energy of the CPU's packages and memory, J; absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_cpu: Option<ReadingRecord>,
    /// The energy of the accelerators that held a model, J; absent where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_accelerators: Option<ReadingRecord>,
    /// `energy_total` by what the engine did; absent where that is not known, and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_by_phase: Option<PhaseEnergyRecord>,
    /// `energy_total` per generated token, J/{token}.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_per_output_token: Option<ReadingRecord>,
    /// `energy_total` less what the machine would have used at rest; absent where no baseline is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_above_idle: Option<ReadingRecord>,
    /// Devices that held a model, or part of one, while the window was open.
    #[serde(default)]
    pub devices_used: u32,
    /// The models that were loaded while it was open, by their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<u64>,
    /// The continuous batches that were open meanwhile, by their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<u64>,
    /// How much more energy the device with the most used than the mean of those that hold a model, as a
    /// share of that mean; absent where a single one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_imbalance: Option<ReadingRecord>,
    /// Ranks of split models; absent where no model is split.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranks: Vec<RankActivity>,
    /// How each device was meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceSpanRecord>,
    /// What a reader must know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What the engine did meanwhile.
    pub activity: Activity,
}

/// Energy of one device's power domain.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeviceEnergyRecord {
    /// The device's id.
    pub device: String,
    /// The power domain within it.
    pub domain: String,
    /// The reading, or why there is none.
    pub energy: ReadingRecord,
}
