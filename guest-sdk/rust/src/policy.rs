//! The traits of the three policies that an experiment is assembled from.

use crate::{
    Result,
    about::About,
    model_info::ModelInfo,
    report::Metric,
    request::Request,
    schedule::{Schedule, Session},
    trial::Trial,
};
use std::time::Duration;

/// The description of a policy that is a component of its own.
pub trait Describe {
    /// Returns the description.
    fn about() -> About;
}

/// The next step of a warm-up.
#[derive(Clone, Debug)]
pub enum WarmupStep {
    /// Runs a request.
    Run {
        /// The request to run. `None` means the first request of the workload.
        request: Option<Box<Request>>,
        /// Shortens the output to at most this many tokens.
        max_new_tokens: Option<u32>,
    },
    /// Waits without running anything.
    Wait(Duration),
    /// Ends the warm-up. The text is the reason, which goes to the record.
    Done(String),
}

impl WarmupStep {
    /// Runs the workload's first request with at most this many output tokens. `None` leaves the request as it is.
    pub fn run_first(max_new_tokens: Option<u32>) -> Self {
        Self::Run { request: None, max_new_tokens }
    }
}

/// Decides how the machine is warmed up.
pub trait WarmupPolicy {
    /// Returns the next step. `history` holds all warm-up trials so far.
    fn next(&mut self, history: &[Trial]) -> Result<WarmupStep>;
}

/// Decides which requests are measured, and when they are sent.
pub trait WorkloadPolicy {
    /// Returns how the requests are run on this model. It is called once, before all other functions. By default one
    /// request runs after another.
    fn begin(&mut self, _: &ModelInfo) -> Result<Schedule> {
        Ok(Schedule::new())
    }

    /// Returns the next request, or `None` at the end. `last` is a trial that has ended since the previous call, if
    /// there is one.
    ///
    /// In a continuous batch this is called before the arrival of the request. Trials that end after the last request
    /// are passed in further calls.
    fn next(&mut self, last: Option<&Trial>) -> Result<Option<Request>>;

    /// Returns the total number of requests for the progress display, if it is known.
    fn total(&self) -> Option<u64> {
        None
    }
}

/// Derives metrics from the measured trials.
pub trait MetricsPolicy {
    /// Records a measured trial as soon as it has ended. A policy that keeps all trials needs memory for every token of
    /// the run.
    fn observe(&mut self, trial: Trial) -> Result<()>;

    /// Returns the metrics of all observed trials. It is called once, at the end.
    fn derive(&mut self, model: &ModelInfo, session: &Session) -> Result<Vec<Metric>>;
}

/// A metrics policy that calls a function with all trials. It keeps the trials in memory until the end.
pub struct MetricsFn<F> {
    derive: F,
    trials: Vec<Trial>,
}

impl<F: FnMut(&ModelInfo, &[Trial]) -> Result<Vec<Metric>>> MetricsFn<F> {
    /// Creates a policy from a function of the model and all trials.
    pub fn new(derive: F) -> Self {
        Self { derive, trials: Vec::new() }
    }
}

impl<F: FnMut(&ModelInfo, &[Trial]) -> Result<Vec<Metric>>> MetricsPolicy for MetricsFn<F> {
    fn observe(&mut self, trial: Trial) -> Result<()> {
        self.trials.push(trial);
        Ok(())
    }

    fn derive(&mut self, model: &ModelInfo, _: &Session) -> Result<Vec<Metric>> {
        (self.derive)(model, &self.trials)
    }
}
