//! The usual course of an experiment.
//!
//! ```text
//! begin ──► (idle baseline ──►) warmup: next, generate, ... done ──► measure: next, generate, observe, ... ──► derive
//! ```
//!
//! Where the workload's schedule has a batch, all measured requests go into it instead (`batched.rs`).

mod batched;

use crate::{
    Result,
    bindings::{batches, meter, requests, trials},
    completion::Generation,
    meter::Baseline,
    model::Model,
    model_info::ModelInfo,
    policy::{Metrics, OfAll, Warmup, WarmupPolicy, Workload},
    report::{self, Level, Metric, Phase},
    request::Request,
    rest::rest,
    schedule::{Schedule, Session},
    trial::Trial,
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
    /// Whether the policies are components, which are handed what is on the host.
    has_components: bool,
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
            has_components: false,
        }
    }

    /// Keeps each trial on the host too ([`Trial::on_host`]) until its policies have seen it, so that they can hand it on
    /// to components.
    pub fn with_components(mut self) -> Self {
        self.has_components = true;
        self
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
        let schedule = self.workload.begin(&self.model.info())?;
        let first = self.workload.next(None)?.ok_or("the workload has no request")?;
        if let Some((length, lifetime)) = self.baseline {
            let _phase = Phase::begin("baseline")?;
            Baseline::recall_or_measure(length, lifetime)?;
        }
        self.warm_up(&first)?;
        let session = self.measure(schedule, first)?;
        self.derive(&session)
    }

    fn warm_up(&mut self, first: &Request) -> Result<()> {
        let _phase = Phase::begin("warmup")?;
        let mut history = Vec::new();
        loop {
            let next = self.warmup.next(&history)?;
            history.iter_mut().for_each(Trial::let_go);
            match next {
                Warmup::Run { request, max_new_tokens } => {
                    let mut request = request.map_or_else(|| first.clone(), |request| *request);
                    request.max_new_tokens = max_new_tokens
                        .map_or(request.max_new_tokens, |most| most.min(request.max_new_tokens));
                    let trial = self.trial(history.len(), request)?;
                    history.push(trial);
                }
                Warmup::Wait(length) => rest(length),
                Warmup::Done(reason) => {
                    report::log(Level::Info, &format!("warm: {reason}"));
                    return Ok(());
                }
            }
        }
    }

    fn measure(&mut self, schedule: Schedule, first: Request) -> Result<Session> {
        let _phase = Phase::begin("measure")?;
        if let Some(options) = &schedule.batch {
            let options = batches::BatchOptions::from(options);
            let batch = self.model.resource().open_batch(&options)?;
            return self.measure_batched(batch, schedule, first);
        }
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
        Ok(self.session(None))
    }

    fn derive(&mut self, session: &Session) -> Result<()> {
        let Some(metrics) = &mut self.metrics else { return Ok(()) };
        let _phase = Phase::begin("derive")?;
        for metric in metrics.derive(&self.model.info(), session)? {
            report::add_metric(&metric)?;
        }
        Ok(())
    }

    fn trial(&self, index: usize, request: Request) -> Result<Trial> {
        let asked = requests::Request::from(&request);
        let generation = self.model.resource().generate(&asked)?;
        let trial = Trial::alone(index as u32, request, Generation::from(&generation));
        Ok(match self.has_components {
            true => trial.held_by(trials::Trial::new(index as u32, asked, generation)),
            false => trial,
        })
    }

    /// What was measured as a whole, on the host too where policies are components.
    fn session(&self, measurement: Option<meter::Measurement>) -> Session {
        match self.has_components {
            true => trials::Session::new(measurement).into(),
            false => Session::new(measurement.as_ref().map(Into::into)),
        }
    }
}
