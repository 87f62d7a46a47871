//! What is kept of generated sequences: static requests, and those of continuous batches as they run and when they end.

use crate::{
    energy::SequenceEnergy, model::UsedAdapter, request::RequestRecord, window::WindowRecord,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A generated request.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct GenerationRecord {
    /// Time and energy of exactly this request, from before it was tokenized to its last token.
    pub window: WindowRecord,
    /// The model, by its number; absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// What was asked; absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestRecord>,
    /// What serving it took, part by part.
    #[serde(default)]
    pub times: RequestTimes,
    /// One for each prompt.
    pub sequences: Vec<SequenceRecord>,
}

/// What serving a static request took, from the host call to the answer: the parts add up to `total_ns`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestTimes {
    /// From the engine's thread taking the request up to the answer being ready, on a clock of its own.
    pub total_ns: u64,
    /// Before the clock of the request: sizing prompts, reserving KV memory, synchronising devices.
    pub prepare_ns: u64,
    /// Reading counters before and after, outside the request's clock; of a split model, ranks are waited for here, too.
    pub meter_ns: u64,
    /// Turning prompts into tokens; part of TTFT.
    pub tokenize_ns: u64,
    /// Prompt processing, to the last first token.
    pub prefill_ns: u64,
    /// From there to the last token.
    pub decode_ns: u64,
    /// Turning tokens into text, after the request's clock.
    pub detokenize_ns: u64,
}

/// Tokens of sequences of a continuous batch since the last such event, so that a run that is killed keeps them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BatchProgressRecord {
    /// The model, by its number; absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// The batch's number in its run.
    pub batch: u64,
    /// Each sequence that has new tokens.
    pub sequences: Vec<SequenceProgress>,
}

/// New tokens of one sequence.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SequenceProgress {
    /// The label of its request.
    pub label: String,
    /// The phases that were open when it was submitted, joined by `/`.
    pub phase: String,
    /// Its name within its batch.
    pub name: u64,
    /// Prompt length.
    pub prompt_tokens: u32,
    /// When it was submitted, or arrived.
    pub submitted_ns: u64,
    /// Where among its tokens these begin.
    pub first: u32,
    /// The tokens.
    pub tokens: Vec<u32>,
    /// When each was on the host.
    pub token_ns: Vec<u64>,
}

/// A sequence of a continuous batch.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BatchSequenceRecord {
    /// The label of its request.
    pub label: String,
    /// The open phases, joined by `/`.
    pub phase: String,
    /// The model, by its number; absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// The batch's number in its run.
    #[serde(default)]
    pub batch: u64,
    /// The number of the request that it is of; absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
    /// Its name within its batch.
    pub name: u64,
    /// What became of it.
    pub sequence: SequenceRecord,
}

/// A generated sequence.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SequenceRecord {
    /// Prompt length.
    pub prompt_tokens: u32,
    /// Generated tokens.
    pub tokens: Vec<u32>,
    /// Why it ended.
    pub finish: String,
    /// Tokens before its prompt's, whose keys and values were in a cache already; absent where there were none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached_tokens: u32,
    /// When it was submitted, or arrived: TTFT counts from here.
    pub submitted_ns: u64,
    /// When its batch took it in; absent in older records, and where that never came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted_ns: Option<u64>,
    /// Whether a step was running when it was due, which it had to wait for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub due_in_step: bool,
    /// When each token was on the host.
    pub token_ns: Vec<u64>,
    /// What its time was spent on.
    #[serde(default)]
    pub times: SequenceTimes,
    /// The adapter that it ran with; absent means the base weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<UsedAdapter>,
    /// Its share of the energy; absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<SequenceEnergy>,
}

/// What a sequence's time was spent on: the first four add up to its end-to-end latency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SequenceTimes {
    /// Turning its request's prompts into tokens.
    pub tokenize_ns: u64,
    /// Waiting: from its arrival to being handed over, and as tokens for the pass that ran the first of its prompt.
    pub queue_ns: u64,
    /// From there to its first token.
    pub prefill_ns: u64,
    /// From its first token to its last.
    pub decode_ns: u64,
    /// Turning its tokens into text, afterwards.
    pub detokenize_ns: u64,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}
