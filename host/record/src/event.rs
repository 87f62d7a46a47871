//! The events of a run. Each is one line of `events.jsonl`.

use crate::{
    generation::{BatchProgressRecord, BatchSequenceRecord, GenerationRecord},
    hardware::{BaselineRecord, DeviceRecord, TimelineRecord},
    model::{AdapterRecord, ModelRecord},
    plan::RunPlan,
    report::{Artifact, Metric, Series, Table},
    request::{BatchRecord, BatchRequestRecord},
    score::{ScoreProgressRecord, ScoreRecord},
    window::WindowRecord,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// One line of the journal.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Line")]
pub struct JournalLine {
    /// Nanoseconds since the run began.
    pub t_ns: u64,
    /// What happened, with its own fields.
    #[serde(flatten)]
    pub event: Event,
}

/// An event of a run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The run began.
    Started {
        /// The run's name.
        id: String,
        /// The version of llem that wrote the journal.
        llem_version: String,
        /// Version of the schema of the journal's lines. Absent in journals before schema 3.0.
        #[serde(default = "before_3")]
        schema_version: String,
        /// The moment at which `t_ns` was 0, in nanoseconds since 1970-01-01 UTC, to find it in the logs of other tools.
        unix_ns: i64,
        /// What was known before the run began, so that the journal alone describes the whole run. Absent in older journals.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        plan: Option<Box<RunPlan>>,
    },
    /// A model was loaded.
    Model(ModelRecord),
    /// A LoRA adapter was attached, merged, unmerged or detached.
    Adapter(AdapterRecord),
    /// The script opened a phase.
    PhaseBegan {
        /// Names of the open phases, outermost first, joined by `/`.
        phase: String,
    },
    /// The script closed a phase.
    PhaseEnded {
        /// Names of the open phases, outermost first, joined by `/`.
        phase: String,
        /// How long the phase took, ns.
        wall_ns: u64,
    },
    /// A request was generated and measured.
    Generation(GenerationRecord),
    /// A continuous batch was opened.
    BatchOpened(BatchRecord),
    /// A request was added to a continuous batch.
    BatchRequest(BatchRequestRecord),
    /// Sequences of a continuous batch that have not ended got new tokens.
    BatchProgress(BatchProgressRecord),
    /// A sequence of a continuous batch ended.
    BatchSequence(BatchSequenceRecord),
    /// A call of `score` or `score-rolling` ended and was measured.
    Score(ScoreRecord),
    /// A call of `score` or `score-rolling` that goes on has completed more requests.
    ScoreProgress(ScoreProgressRecord),
    /// The script closed a window.
    Window(WindowRecord),
    /// Idle power was measured, or was taken from an earlier run.
    Baseline(BaselineRecord),
    /// The machine's devices. The event is written when the meter is first used.
    Devices {
        /// All devices, the CPU first.
        devices: Vec<DeviceRecord>,
    },
    /// The files and the cost of sampling the devices.
    Timeline(TimelineRecord),
    /// The script reported a result.
    Metric(Metric),
    /// The script reported a curve.
    Series(Series),
    /// The script reported a table.
    Table(Table),
    /// The script wrote a file.
    Artifact(Artifact),
    /// A warning of the host: something that a reader of the results must know.
    Warning {
        /// The text of the warning.
        message: String,
    },
    /// A warning of the script. Journals before schema 3.0 have it as a `warning`.
    ScriptWarning {
        /// The text of the warning, in the script's words.
        message: String,
    },
    /// A line was logged.
    Log {
        /// `debug`, `info`, `warn`, `error`, `stdout` or `stderr`.
        level: String,
        /// The text. For `stdout` and `stderr` it is one line. A line of more than 64 KiB is split into several events.
        message: String,
    },
    /// The run ended.
    Ended {
        /// How the run ended.
        status: RunStatus,
        /// Why the run ended; `None` if it completed.
        error: Option<String>,
    },
}

impl Event {
    /// Returns the text of a warning as readers see it. A warning of the script begins with `the script: `. Returns `None` for
    /// other events.
    pub fn warning(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Warning { message } => Some(message.into()),
            Self::ScriptWarning { message } => Some(format!("the script: {message}").into()),
            _ => None,
        }
    }
}

/// Returns the schema version of a journal that does not name one.
fn before_3() -> String {
    "2.0".to_owned()
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Status")]
pub enum RunStatus {
    /// The run has not ended, or it was killed. After a kill, the journal holds everything that was measured, and
    /// `llem recover` rebuilds the record.
    Running,
    /// The script ran to its end.
    Completed,
    /// The run failed. The error says why.
    Failed,
    /// The run was ended by Ctrl-C or a termination signal.
    Interrupted,
    /// The run was killed, it crashed, or the machine went down. Only a recovered record has this status.
    Killed,
}
