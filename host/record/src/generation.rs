//! Generated sequences in the record: static requests, and sequences of continuous batches while they run and when they
//! end.

use crate::{
    energy::SequenceEnergy, model::UsedAdapter, request::RequestRecord, window::WindowRecord,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A static request that was generated and measured.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct GenerationRecord {
    /// Time and energy of exactly this request, from before its tokenization to its last token.
    pub window: WindowRecord,
    /// The model's number. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// The request. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestRecord>,
    /// How long each part of serving the request took.
    #[serde(default)]
    pub times: RequestTimes,
    /// The sequences, one for each prompt.
    pub sequences: Vec<SequenceRecord>,
}

/// How long each part of serving a static request took, from the host call to the answer. The parts add up to `total_ns`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestTimes {
    /// Time from when the engine's thread takes the request until the answer is ready, ns, measured on its own.
    pub total_ns: u64,
    /// Time before the request's clock starts, ns: sizing prompts, reserving KV memory, synchronising devices.
    pub prepare_ns: u64,
    /// Time to read counters before and after, outside the request's clock, ns. For a split model, it includes waiting for
    /// the ranks.
    pub meter_ns: u64,
    /// Time to turn prompts into tokens, ns. It is part of TTFT.
    pub tokenize_ns: u64,
    /// Time of prompt processing until every sequence has its first token, ns.
    pub prefill_ns: u64,
    /// Time from the end of prefill to the last token, ns.
    pub decode_ns: u64,
    /// Time to turn tokens into text, after the request's clock has stopped, ns.
    pub detokenize_ns: u64,
}

/// New tokens of the sequences of a continuous batch since the last event of this kind, so that they are kept if the run is
/// killed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BatchProgressRecord {
    /// The model's number. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// The batch's number in its run.
    pub batch: u64,
    /// The sequences that have new tokens.
    pub sequences: Vec<SequenceProgress>,
}

/// New tokens of one sequence.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SequenceProgress {
    /// The label of the sequence's request.
    pub label: String,
    /// The phases that were open when the sequence was submitted, joined by `/`.
    pub phase: String,
    /// The sequence's name within its batch.
    pub name: u64,
    /// Length of the prompt, tokens.
    pub prompt_tokens: u32,
    /// When the sequence was submitted, or arrived, ns since the run began.
    pub submitted_ns: u64,
    /// Index of the first new token among the sequence's tokens.
    pub first: u32,
    /// The new tokens.
    pub tokens: Vec<u32>,
    /// When each new token was on the host, ns since the run began.
    pub token_ns: Vec<u64>,
}

/// A sequence of a continuous batch that has ended.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BatchSequenceRecord {
    /// The label of the sequence's request.
    pub label: String,
    /// The names of the open phases, joined by `/`.
    pub phase: String,
    /// The model's number. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// The batch's number in its run.
    #[serde(default)]
    pub batch: u64,
    /// The number of the sequence's request. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
    /// The sequence's name within its batch.
    pub name: u64,
    /// The generated sequence.
    pub sequence: SequenceRecord,
}

/// A generated sequence.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SequenceRecord {
    /// Length of the prompt, tokens.
    pub prompt_tokens: u32,
    /// The generated tokens.
    pub tokens: Vec<u32>,
    /// Why the sequence ended.
    pub finish: String,
    /// Number of tokens before the prompt whose keys and values were already in a cache. Absent if there were none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached_tokens: u32,
    /// When the sequence was submitted, or arrived, ns since the run began. TTFT counts from here.
    pub submitted_ns: u64,
    /// When the batch admitted the sequence, ns since the run began. Absent in older records, and if it was never admitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted_ns: Option<u64>,
    /// Whether the sequence was due while a step was running, so that it had to wait for the end of that step.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub due_in_step: bool,
    /// When each token was on the host, ns since the run began.
    pub token_ns: Vec<u64>,
    /// How long each part of serving the sequence took.
    #[serde(default)]
    pub times: SequenceTimes,
    /// The adapter that the sequence ran with. Absent if it ran with the base weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<UsedAdapter>,
    /// The sequence's share of the energy. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<SequenceEnergy>,
}

/// How long each part of serving a sequence took. The first four parts add up to its end-to-end latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SequenceTimes {
    /// Time to turn the request's prompts into tokens, ns.
    pub tokenize_ns: u64,
    /// Time of waiting, ns: from its arrival until it was handed over, and then until the pass that processed the first
    /// tokens of its prompt.
    pub queue_ns: u64,
    /// Time from the end of waiting to the first token, ns.
    pub prefill_ns: u64,
    /// Time from the first token to the last, ns.
    pub decode_ns: u64,
    /// Time to turn the tokens into text, after the last token, ns.
    pub detokenize_ns: u64,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}
