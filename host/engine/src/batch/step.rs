//! What a continuous batch tells of its steps and of itself.

use super::{
    admission::Admission,
    pass::ScheduledTokens,
    sequence::{Completion, FinishReason},
};
use std::time::Instant;

/// What one step did.
#[derive(Debug)]
pub struct Step {
    /// The tokens that it produced, or that the caller has chosen since the last.
    pub tokens: Vec<StepToken>,
    /// The sequences that ended with it, or were cancelled since the last.
    pub ended: Vec<Ended>,
    /// The rows that it ran.
    pub scheduled: Vec<ScheduledTokens>,
    /// The sequences that wait for the caller to choose ([`crate::Batch::choose`]). Where nothing else is left, steps run
    /// nothing.
    pub awaiting: Vec<u64>,
    /// When it began.
    pub started: Instant,
    /// When its tokens were on the host.
    pub finished: Instant,
}

/// A token of a step.
#[derive(Clone, Copy, Debug)]
pub struct StepToken {
    /// The sequence.
    pub sequence: u64,
    /// The token.
    pub token: u32,
    /// When it was on the host.
    pub at: Instant,
    /// With the sequence's last token.
    pub finish: Option<FinishReason>,
}

/// A sequence that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The sequence.
    pub sequence: u64,
    /// When it arrived, and when its batch took it in.
    pub admission: Admission,
    /// What became of it.
    pub completion: Completion,
}

/// How full a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Sequences that run.
    pub running: usize,
    /// Sequences that wait for KV memory.
    pub waiting: usize,
    /// Sequences that will arrive.
    pub scheduled: usize,
    /// Sequences that have ended and hold their KV memory.
    pub held: usize,
    /// Bytes that those take which wait or are scheduled.
    pub waiting_bytes: usize,
    /// Bytes of KV memory that are reserved.
    pub kv_bytes: usize,
    /// Positions that are reserved.
    pub kv_capacity: usize,
    /// Positions that hold a token of a sequence which runs, holds its memory, or is scheduled to go on in it.
    pub kv_used: usize,
    /// Prompt tokens for which the prefix cache was asked so far (vLLM's `prefix_cache_queries`).
    pub prefix_queries: u64,
    /// Those of them whose keys and values were taken over (vLLM's `prefix_cache_hits`).
    pub prefix_hits: u64,
}
