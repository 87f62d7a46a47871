//! The usual course of an experiment.
//!
//! ```text
//! (idle baseline ──►) warmup: next, generate, ... done ──► measure: next, generate, observe, ... ──► derive
//! ```

use crate::{
    Error, Result,
    bindings::{Level, Metric, Model, ModelInfo, Phase, Request, Trial, meter, report},
    policy::{Metrics, OfAll, Warmup, WarmupPolicy, Workload},
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
    /// measurement also has its energy above idle. A length of zero means that it is not measured.
    pub fn baseline(mut self, length: Duration, lifetime: Duration) -> Self {
        self.baseline = Some((length, lifetime)).filter(|(length, _)| !length.is_zero());
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

    /// What to derive from all trials, which are kept for it.
    pub fn metrics(
        self,
        derive: impl FnMut(&ModelInfo, &[Trial]) -> Result<Vec<Metric>> + 'static,
    ) -> Self {
        self.metrics_policy(OfAll::new(derive))
    }

    /// What to derive, by a policy that is given one trial after another.
    pub fn metrics_policy(mut self, metrics: impl Metrics + 'static) -> Self {
        self.metrics = Some(Box::new(metrics));
        self
    }

    /// Runs it and reports its metrics.
    pub fn run(mut self) -> Result<()> {
        let first = self.workload.next(None)?.ok_or("the workload has no request")?;
        if let Some((length, lifetime)) = self.baseline {
            let _phase = Phase::begin("baseline")?;
            meter::idle_baseline(nanoseconds(length), nanoseconds(lifetime))?;
        }
        self.warm_up(&first)?;
        self.measure(first)?;
        self.derive()
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
                    let trial = self.trial(history.len(), request)?;
                    history.push(trial);
                }
                Warmup::Wait(length) => rest(length)?,
                Warmup::Done(reason) => {
                    report::log(Level::Info, &format!("warm: {reason}"));
                    return Ok(());
                }
            }
        }
    }

    fn measure(&mut self, first: Request) -> Result<()> {
        let _phase = Phase::begin("measure")?;
        let total = self.workload.total().unwrap_or(0);
        let mut next = Some(first);
        for index in 0.. {
            let Some(request) = next else { break };
            report::show_progress(index as u64, total, &request.label);
            let trial = self.trial(index, request)?;
            next = self.workload.next(Some(&trial))?;
            if let Some(metrics) = &mut self.metrics {
                metrics.observe(trial)?;
            }
        }
        Ok(())
    }

    fn derive(&mut self) -> Result<()> {
        let Some(metrics) = &mut self.metrics else { return Ok(()) };
        let _phase = Phase::begin("derive")?;
        for metric in metrics.derive(&self.model.info())? {
            report::add_metric(&metric)?;
        }
        Ok(())
    }

    fn trial(&self, index: usize, request: Request) -> Result<Trial> {
        let generation = self.model.generate(&request).map_err(Error::from)?;
        Ok(Trial { index: index as u32, request, generation })
    }
}
