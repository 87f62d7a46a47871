//! The three parts of a method. Each sees the whole history of its phase.

use crate::{
    Result,
    bindings::{About, Metric, ModelInfo, Request, Trial},
};
use std::time::Duration;

/// What a component that holds only policies says of itself.
pub trait Describe {
    /// The description.
    fn about() -> About;
}

/// What to do next to warm up.
#[derive(Clone, Debug)]
pub enum Warmup {
    /// Run a request: this one, or else the first of the workload; with at most so many tokens.
    Run {
        /// None borrows the first of the workload.
        request: Option<Request>,
        /// Shortens the output.
        max_new_tokens: Option<u32>,
    },
    /// Rest.
    Wait(Duration),
    /// Warm; the sentence is recorded.
    Done(String),
}

impl Warmup {
    /// The workload's first request with a shortened output.
    pub fn reduced(max_new_tokens: Option<u32>) -> Self {
        Self::Run { request: None, max_new_tokens }
    }
}

/// Decides how the machine is warmed up.
pub trait WarmupPolicy {
    /// The next step, given all warm-up trials so far.
    fn next(&mut self, history: &[Trial]) -> Result<Warmup>;
}

/// Decides what the model is asked while it is measured.
pub trait Workload {
    /// The next request, given all measured trials so far; none at the end.
    fn next(&mut self, history: &[Trial]) -> Result<Option<Request>>;

    /// How many requests there will be, where that is known.
    fn total(&self) -> Option<u64> {
        None
    }
}

/// Derives metrics from what was measured.
pub trait Metrics {
    /// The metrics of all measured trials.
    fn derive(&mut self, model: &ModelInfo, trials: &[Trial]) -> Result<Vec<Metric>>;
}

/// A function is a way to derive metrics.
impl<F: FnMut(&ModelInfo, &[Trial]) -> Result<Vec<Metric>>> Metrics for F {
    fn derive(&mut self, model: &ModelInfo, trials: &[Trial]) -> Result<Vec<Metric>> {
        self(model, trials)
    }
}
