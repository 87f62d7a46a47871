//! The imported policies as the SDK's.

use crate::bindings::llem::experiment::{
    metrics_policy,
    warmup_policy::{self, Step},
    workload_policy,
};
use llem_sdk::prelude::*;
use std::time::Duration;

/// The warm-up policy that the runner was composed with.
#[derive(Default)]
pub struct GivenWarmup {
    /// Trials that it has been given.
    given: usize,
}

impl WarmupPolicy for GivenWarmup {
    fn next(&mut self, history: &[Trial]) -> Result<Warmup> {
        let last = history.get(self.given..).and_then(<[Trial]>::last);
        self.given = history.len();
        Ok(match warmup_policy::next(last)? {
            Step::Run(plan) => {
                Warmup::Run { request: plan.request, max_new_tokens: plan.max_new_tokens }
            }
            Step::Wait(length) => Warmup::Wait(Duration::from_nanos(length)),
            Step::Done(reason) => Warmup::Done(reason),
        })
    }
}

/// The workload that the runner was composed with.
pub struct GivenWorkload;

impl Workload for GivenWorkload {
    fn next(&mut self, last: Option<&Trial>) -> Result<Option<Request>> {
        Ok(workload_policy::next(last)?)
    }
}

/// The metrics that the runner was composed with.
pub struct GivenMetrics;

impl Metrics for GivenMetrics {
    fn observe(&mut self, trial: Trial) -> Result<()> {
        Ok(metrics_policy::observe(&trial)?)
    }

    fn derive(&mut self, model: &ModelInfo) -> Result<Vec<Metric>> {
        Ok(metrics_policy::derive(model)?)
    }
}
