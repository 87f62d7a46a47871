//! The resources that the runner and policies share.

use super::{CompletedSequence, GenerationResult, Measurement, RequestDraft};
use llem_engine::BatchOptions;

/// A request that the runner has run.
pub struct Trial {
    /// The position among the requests of its phase.
    pub index: u32,
    pub request: RequestDraft,
    /// The results of its prompts.
    pub completions: Vec<CompletedSequence>,
    /// The result of the request if it was run alone and not in a continuous batch.
    pub generation: Option<GenerationResult>,
}

/// How the runner runs a workload.
#[derive(Default)]
pub struct Schedule {
    /// The options of the continuous batch that requests go into. `None` runs each request alone.
    pub batch: Option<BatchOptions>,
    /// The most requests that run at a time.
    pub concurrency: Option<u32>,
    /// For how long requests are sent, in nanoseconds.
    pub length: Option<u64>,
}

/// The measurement of a whole workload.
pub struct Session {
    /// Time and energy of all measured requests.
    pub measurement: Option<Measurement>,
}
