//! What happens in a run: a line of `events.jsonl` each.

pub use crate::{
    activity::{Activity, EstimatedFlops},
    energy::{DomainRecord, LackRecord, PhaseEnergyRecord, SequenceEnergy},
    generation::{
        BatchProgressRecord, BatchSequenceRecord, GenerationRecord, RequestTimes, SequenceProgress,
        SequenceRecord, SequenceTimes,
    },
    model::{
        AdapterChange, AdapterRecord, FileDigest, ModelRecord, Parallelism, RankRecord, UsedAdapter,
    },
    report::{Artifact, Metric, Series, Table},
    request::{
        BatchRecord, BatchRequestRecord, ChosenBy, PromptForm, PromptRecord, RequestRecord,
        SamplingRecord,
    },
    score::{ScoreProgressRecord, ScoreRecord, ScoreResult},
    window::{DeviceEnergyRecord, MemoryPeakRecord, RankActivity, SegmentRecord, WindowRecord},
};
use crate::{
    hardware::{BaselineRecord, DeviceRecord, TimelineRecord},
    plan::Plan,
};
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
        plan: Option<Box<Plan>>,
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
        status: Status,
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
