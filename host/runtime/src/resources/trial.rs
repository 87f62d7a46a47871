//! The words that the runner and policies share.

use super::{Completed, Draft, Generated, Measurement};
use llem_engine::batch::BatchOptions;

/// A request that the runner ran.
pub struct Trial {
    /// Its position among its phase's requests.
    pub index: u32,
    /// What was asked.
    pub request: Draft,
    /// What became of its prompts.
    pub completions: Vec<Completed>,
    /// What came of it, if it was run by itself.
    pub generation: Option<Generated>,
}

/// How the runner runs a workload.
#[derive(Default)]
pub struct Schedule {
    /// The continuous batch that requests go into; none runs each by itself.
    pub batch: Option<BatchOptions>,
    /// Most requests that are under way at a time.
    pub concurrency: Option<u32>,
    /// How long requests are sent, ns.
    pub length: Option<u64>,
}

/// What was measured as a whole.
pub struct Session {
    /// Time and energy of all measured requests.
    pub measurement: Option<Measurement>,
}
