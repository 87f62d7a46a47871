//! What a continuous batch reports about its steps and about itself.

use super::{
    admission::Admission,
    forward_pass::ScheduledTokens,
    sequence::{Completion, FinishReason},
};
use std::time::Instant;

/// The results of one step.
#[derive(Debug)]
pub struct BatchStep {
    /// Tokens that the step produced, and tokens that the caller has chosen since the last step.
    pub tokens: Vec<StepToken>,
    /// Sequences that ended with the step, or were cancelled since the last step.
    pub ended: Vec<EndedSequence>,
    /// The rows that the step ran.
    pub scheduled: Vec<ScheduledTokens>,
    /// Names of the sequences that wait for the caller to choose a token ([`crate::Batch::choose`]). If no other
    /// sequence is left, a step runs nothing.
    pub awaiting: Vec<u64>,
    /// When the step began.
    pub started: Instant,
    /// When the step's tokens were on the host.
    pub finished: Instant,
}

/// One token of a step.
#[derive(Clone, Copy, Debug)]
pub struct StepToken {
    /// The name of the sequence.
    pub sequence: u64,
    /// The token's id.
    pub token: u32,
    /// When the token was on the host.
    pub at: Instant,
    /// Why the sequence ended, if this is its last token.
    pub finish: Option<FinishReason>,
}

/// A sequence that has ended.
#[derive(Debug)]
pub struct EndedSequence {
    /// The name of the sequence.
    pub sequence: u64,
    /// When the sequence arrived, and when the batch admitted it.
    pub admission: Admission,
    /// The generated tokens.
    pub completion: Completion,
}

/// How full a continuous batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchStatus {
    /// Number of sequences that run.
    pub running: usize,
    /// Number of sequences that wait for KV memory.
    pub waiting: usize,
    /// Number of sequences that will arrive later.
    pub scheduled: usize,
    /// Number of ended sequences that hold their KV memory.
    pub held: usize,
    /// Bytes of the sequences that wait or are scheduled.
    pub waiting_bytes: usize,
    /// Bytes of KV memory that are reserved.
    pub kv_bytes: usize,
    /// Number of positions that are reserved.
    pub kv_capacity: usize,
    /// Number of positions with a token of a sequence that runs, holds its memory, or is scheduled to continue in
    /// that memory.
    pub kv_used: usize,
    /// Number of prompt tokens for which the prefix cache was searched so far (vLLM's `prefix_cache_queries`).
    pub prefix_queries: u64,
    /// Number of these tokens whose keys and values were found (vLLM's `prefix_cache_hits`).
    pub prefix_hits: u64,
}
