//! The results of requests, which scripts read part by part.

use super::Charge;
use llem_engine::{
    Score, TokenLogProbabilities,
    flops::{FlopEstimate, LogitPositions, ModuleFlops},
};
use llem_meter::{Device, DeviceState};
use llem_record::{SequenceRecord, WindowRecord};
use std::sync::Arc;

/// The result of one prompt, shared by all handles to it.
#[derive(Clone)]
pub struct CompletedSequence(Arc<SequenceResult>);

/// A sequence that has ended.
pub struct SequenceResult {
    /// The name of the sequence in its batch, or the index of its prompt.
    pub name: u64,
    pub text: Option<String>,
    /// The sequence's entry in the record.
    pub record: SequenceRecord,
    /// When the first pass with some of its tokens began, in nanoseconds on the run's clock.
    pub started_ns: Option<u64>,
    /// The log-probability of each of its tokens, if they were asked for.
    pub log_probabilities: Vec<TokenLogProbabilities>,
    /// The bytes of the sequence, counted while anyone holds it.
    #[expect(dead_code, reason = "dropping it gives the bytes back")]
    pub charge: Charge,
}

impl CompletedSequence {
    pub(crate) fn new(sequence: SequenceResult) -> Self {
        Self(Arc::new(sequence))
    }
}

impl std::ops::Deref for CompletedSequence {
    type Target = SequenceResult;

    fn deref(&self) -> &SequenceResult {
        &self.0
    }
}

/// The result of a static batch.
#[derive(Clone)]
pub struct GenerationResult {
    /// One completion for each prompt.
    pub completions: Arc<[CompletedSequence]>,
    /// The time of prompt processing of the whole batch, in nanoseconds.
    pub prefill_ns: u64,
    /// The time from the end of prefill to the last token, in nanoseconds.
    pub decode_ns: u64,
    /// Time and energy of the request.
    pub measurement: Measurement,
}

/// The measurement of a closed window, or of the work of one call.
#[derive(Clone)]
pub struct Measurement(pub Arc<WindowRecord>);

/// The result of scoring some continuations together.
pub struct ScoringResult {
    /// One score for each continuation.
    pub scores: Vec<Score>,
    /// Time and energy of the scoring.
    pub measurement: Measurement,
    #[expect(dead_code, reason = "dropping it gives the bytes back")]
    pub charge: Charge,
}

/// A token that a step produced: its sequence, its id, and when it was on the host, in nanoseconds on the run's clock.
pub(super) type TimedToken = (u64, u32, u64);

/// What one or several steps of a batch did.
pub struct BatchProgress {
    pub steps: u64,
    pub tokens: Vec<TimedToken>,
    pub ended: Vec<CompletedSequence>,
    /// The number of prompt tokens that were run.
    pub prompt_tokens: u64,
    /// When the first step began, in nanoseconds on the run's clock.
    pub started_ns: u64,
    /// When the tokens of the last step were on the host, in nanoseconds on the run's clock.
    pub finished_ns: u64,
    #[expect(dead_code, reason = "dropping it gives the bytes back")]
    pub charge: Charge,
}

/// The logits of a sequence's next token.
pub struct NextTokenLogits {
    /// A logit for each token of the vocabulary.
    pub row: Arc<[f32]>,
    #[expect(dead_code, reason = "dropping it gives the bytes back")]
    pub charge: Charge,
}

/// A device with its measured peak rates.
pub struct Hardware {
    pub device: Device,
    /// The rates that `llem doctor --peaks` last measured.
    pub measured: Option<llem_meter::PeakMeasurement>,
}

/// The state of a device at one moment.
pub struct HardwareState {
    /// When it was read, in nanoseconds on the run's clock.
    pub at_ns: u64,
    pub state: DeviceState,
}

/// A static batch of equal sequences whose operations are to be counted.
pub struct FlopShape {
    pub batch: u32,
    pub prompt_tokens: u32,
    pub new_tokens: u32,
    /// The positions of the prompt whose logits are computed.
    pub logits: LogitPositions,
    /// The name of the attached adapter that the batch runs with.
    pub adapter: Option<String>,
}

/// The operations of a [`FlopShape`].
pub struct FlopCounts {
    /// The operations by each way of counting.
    pub estimated: FlopEstimate,
    /// The parameters that each token is multiplied with.
    pub active_parameters: f64,
    /// The operations of each module.
    pub modules: Vec<ModuleFlops>,
}
