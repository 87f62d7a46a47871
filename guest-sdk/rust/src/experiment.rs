//! The usual course of an experiment, on the guest's side.
//!
//! ```text
//! (idle baseline ──►) warmup: next, generate, ... done ──► measure: next, generate, ... ──► derive
//! ```

use crate::{
    Error, Result,
    bindings::{Level, Model, Phase, Request, Trial, meter, report},
    policy::{Metrics, Warmup, WarmupPolicy, Workload},
    rest::{nanoseconds, rest},
    warmup::FixedCount,
    workload::Requests,
};
use std::time::Duration;

/// A method, assembled.
pub struct Experiment {
    model: Model,
    /// How long idle power is measured, and how old an earlier run's may be.
    baseline: Option<(Duration, Duration)>,
    warmup: Box<dyn WarmupPolicy>,
    workload: Box<dyn Workload>,
    metrics: Option<Box<dyn Metrics>>,
}

impl Experiment {
    /// Measures this model. Warms up by [`FixedCount`] unless told otherwise.
    pub fn new(model: Model) -> Self {
        Self {
            model,
            baseline: None,
            warmup: Box::new(FixedCount::default()),
            workload: Box::new(Requests::new([])),
            metrics: None,
        }
    }

    /// Measures idle power first, for `length`, unless an earlier run did at most `lifetime` ago: then every
    /// measurement also has its energy above idle.
    pub fn baseline(mut self, length: Duration, lifetime: Duration) -> Self {
        self.baseline = Some((length, lifetime));
        self
    }

    /// How to warm up.
    pub fn warmup(mut self, policy: impl WarmupPolicy + 'static) -> Self {
        self.warmup = Box::new(policy);
        self
    }

    /// What to ask.
    pub fn workload(mut self, workload: impl Workload + 'static) -> Self {
        self.workload = Box::new(workload);
        self
    }

    /// What to derive.
    pub fn metrics(mut self, metrics: impl Metrics + 'static) -> Self {
        self.metrics = Some(Box::new(metrics));
        self
    }

    /// Runs it, reports its metrics, and returns the measured trials.
    pub fn run(mut self) -> Result<Vec<Trial>> {
        let first = self.workload.next(&[])?.ok_or("the workload has no request")?;
        if let Some((length, lifetime)) = self.baseline {
            let _phase = Phase::begin("baseline")?;
            meter::idle_baseline(nanoseconds(length), nanoseconds(lifetime))?;
        }
        self.warm_up(&first)?;
        let trials = self.measure(first)?;
        if let Some(metrics) = &mut self.metrics {
            let _phase = Phase::begin("derive")?;
            for metric in metrics.derive(&self.model.info(), &trials)? {
                report::add_metric(&metric)?;
            }
        }
        Ok(trials)
    }

    fn warm_up(&mut self, first: &Request) -> Result<()> {
        let _phase = Phase::begin("warmup")?;
        let mut history = Vec::new();
        loop {
            match self.warmup.next(&history)? {
                Warmup::Run { request, max_new_tokens } => {
                    let mut request = request.unwrap_or_else(|| first.clone());
                    request.max_new_tokens = max_new_tokens
                        .map_or(request.max_new_tokens, |most| most.min(request.max_new_tokens));
                    self.trial(&mut history, request)?;
                }
                Warmup::Wait(length) => rest(length)?,
                Warmup::Done(reason) => {
                    report::log(Level::Info, &format!("warm: {reason}"));
                    return Ok(());
                }
            }
        }
    }

    fn measure(&mut self, first: Request) -> Result<Vec<Trial>> {
        let _phase = Phase::begin("measure")?;
        let mut trials = Vec::new();
        let mut next = Some(first);
        while let Some(request) = next {
            report::show_progress(
                trials.len() as u64,
                self.workload.total().unwrap_or(0),
                &request.label,
            );
            self.trial(&mut trials, request)?;
            next = self.workload.next(&trials)?;
        }
        Ok(trials)
    }

    fn trial(&self, trials: &mut Vec<Trial>, request: Request) -> Result<()> {
        let generation = self.model.generate(&request).map_err(Error::from)?;
        trials.push(Trial { index: trials.len() as u32, request, generation });
        Ok(())
    }
}
