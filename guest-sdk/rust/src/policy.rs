//! The three parts of a method.

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
        request: Option<Box<Request>>,
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

/// Decides what the model is asked while it is measured, and when.
pub trait Workload {
    /// How its requests are run on this model. Called once, before anything else. One after another, unless it says
    /// otherwise.
    fn begin(&mut self, _: &ModelInfo) -> Result<Schedule> {
        Ok(Schedule::one_by_one())
    }

    /// The next request, or none at the end, given a trial that ended since the last call, if one did (none at first). In a
    /// continuous batch requests are asked for ahead of their arrival; trials that have ended and were not given with a
    /// request are given at the end.
    fn next(&mut self, last: Option<&Trial>) -> Result<Option<Request>>;

    /// How many requests there will be, where that is known.
    fn total(&self) -> Option<u64> {
        None
    }
}

/// Derives metrics from what was measured.
pub trait Metrics {
    /// Takes note of a measured trial, as soon as it has ended. A policy that keeps all of every trial needs memory
    /// for every token of the run.
    fn observe(&mut self, trial: Trial) -> Result<()>;

    /// The metrics of all trials that it has been given.
    fn derive(&mut self, model: &ModelInfo, session: &Session) -> Result<Vec<Metric>>;
}

/// Metrics by a function of all trials, which are kept until the end.
pub struct OfAll<F> {
    derive: F,
    trials: Vec<Trial>,
}

impl<F: FnMut(&ModelInfo, &[Trial]) -> Result<Vec<Metric>>> OfAll<F> {
    /// Metrics by this function.
    pub fn new(derive: F) -> Self {
        Self { derive, trials: Vec::new() }
    }
}

impl<F: FnMut(&ModelInfo, &[Trial]) -> Result<Vec<Metric>>> Metrics for OfAll<F> {
    fn observe(&mut self, trial: Trial) -> Result<()> {
        self.trials.push(trial);
        Ok(())
    }

    fn derive(&mut self, model: &ModelInfo, _: &Session) -> Result<Vec<Metric>> {
        (self.derive)(model, &self.trials)
    }
}
