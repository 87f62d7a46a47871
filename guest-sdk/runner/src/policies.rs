//! The imported policies as the SDK's. They are handed what is on the host.

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
        Ok(match warmup_policy::next(last.and_then(Trial::on_host))? {
            Step::Run(plan) => Warmup::Run {
                request: plan.request.as_ref().map(|request| Box::new(Request::from(request))),
                max_new_tokens: plan.max_new_tokens,
            },
            Step::Wait(length) => Warmup::Wait(Duration::from_nanos(length)),
            Step::Done(reason) => Warmup::Done(reason),
        })
    }
}

/// The workload that the runner was composed with.
pub struct GivenWorkload {
    /// What it is asked of.
    pub model: Model,
}

impl Workload for GivenWorkload {
    fn begin(&mut self, _: &ModelInfo) -> Result<Schedule> {
        Ok(Schedule::from(&workload_policy::begin(self.model.resource())?))
    }

    fn next(&mut self, last: Option<&Trial>) -> Result<Option<Request>> {
        let next = workload_policy::next(last.and_then(Trial::on_host))?;
        Ok(next.as_ref().map(Request::from))
    }
}

/// The metrics that the runner was composed with.
pub struct GivenMetrics {
    /// What was measured.
    pub model: Model,
}

impl Metrics for GivenMetrics {
    fn observe(&mut self, trial: Trial) -> Result<()> {
        Ok(trial.on_host().map_or(Ok(()), metrics_policy::observe)?)
    }

    fn derive(&mut self, _: &ModelInfo, session: &Session) -> Result<Vec<Metric>> {
        let Some(session) = session.on_host() else { return Ok(Vec::new()) };
        let metrics = metrics_policy::derive(self.model.resource(), session)?;
        Ok(metrics.into_iter().map(Metric::from).collect())
    }
}
