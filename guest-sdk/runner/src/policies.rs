//! The imported policies as policies of the SDK. They receive the host's resources of trials and sessions.

use crate::bindings::llem::experiment::{
    metrics_policy,
    warmup_policy::{self, Step},
    workload_policy,
};
use llem_sdk::prelude::*;
use std::time::Duration;

/// The warm-up policy that the runner imports.
#[derive(Default)]
pub(crate) struct ImportedWarmup {
    /// The number of trials that the policy has received.
    received: usize,
}

impl WarmupPolicy for ImportedWarmup {
    fn next(&mut self, history: &[Trial]) -> Result<WarmupStep> {
        let last = history.get(self.received..).and_then(<[Trial]>::last);
        self.received = history.len();
        Ok(match warmup_policy::next(last.and_then(Trial::resource))? {
            Step::Run(plan) => WarmupStep::Run {
                request: plan.request.as_ref().map(|request| Box::new(Request::from(request))),
                max_new_tokens: plan.max_new_tokens,
            },
            Step::Wait(length) => WarmupStep::Wait(Duration::from_nanos(length)),
            Step::Done(reason) => WarmupStep::Done(reason),
        })
    }
}

/// The workload policy that the runner imports.
pub(crate) struct ImportedWorkload {
    /// The model that the requests run on.
    pub(crate) model: Model,
}

impl WorkloadPolicy for ImportedWorkload {
    fn begin(&mut self, _: &ModelInfo) -> Result<Schedule> {
        Ok(Schedule::from(&workload_policy::begin(self.model.resource())?))
    }

    fn next(&mut self, last: Option<&Trial>) -> Result<Option<Request>> {
        let next = workload_policy::next(last.and_then(Trial::resource))?;
        Ok(next.as_ref().map(Request::from))
    }
}

/// The metrics policy that the runner imports.
pub(crate) struct ImportedMetrics {
    /// The measured model.
    pub(crate) model: Model,
}

impl MetricsPolicy for ImportedMetrics {
    fn observe(&mut self, trial: Trial) -> Result<()> {
        Ok(trial.resource().map_or(Ok(()), metrics_policy::observe)?)
    }

    fn derive(&mut self, _: &ModelInfo, session: &Session) -> Result<Vec<Metric>> {
        let Some(session) = session.resource() else { return Ok(Vec::new()) };
        let metrics = metrics_policy::derive(self.model.resource(), session)?;
        Ok(metrics.into_iter().map(Metric::from).collect())
    }
}
