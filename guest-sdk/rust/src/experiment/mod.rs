//! The standard phases of an experiment.
//!
//! ```text
//! begin ──► (idle baseline ──►) warmup: next, generate, ... done ──► measure: next, generate, observe, ... ──► derive
//! ```
//!
//! If the workload's schedule has a continuous batch, all measured requests go into it instead (`batch_run.rs`).

mod batch_run;

use crate::{
    Result,
    bindings::{batches, meter, requests, trials},
    completion::Generation,
    meter::Baseline,
    model::Model,
    model_info::ModelInfo,
    policy::{MetricsFn, MetricsPolicy, WarmupPolicy, WarmupStep, WorkloadPolicy},
    report::{self, Level, Metric, Phase},
    request::Request,
    request_list::RequestList,
    schedule::{Schedule, Session},
    trial::Trial,
    wait::sleep_for,
    warmup::FixedCount,
};
use std::time::Duration;

/// An experiment assembled from a warm-up policy, a workload and metrics.
///
/// [`Self::run`] runs its phases in order, each as a phase of the run record: `baseline`, `warmup`, `measure`,
/// `derive`.
///
/// ```no_run
/// # use llem_sdk::prelude::*;
/// # fn run() -> Result<()> {
/// let request = Request::from_text("Why is the sky blue?").max_new_tokens(64);
/// Experiment::new(Model::load_granted()?)
///     .warmup(CvConvergence::default())
///     .workload(RequestList::new([request]).rounds(10))
///     .metrics(|_, trials| {
///         let rates = trials.iter().filter_map(Trial::decode_rate);
///         Ok(Quantity::mean_of(rates).map(|rate| rate.into_metric("decode_rate")).into_iter().collect())
///     })
///     .run()
/// # }
/// ```
pub struct Experiment {
    model: Model,
    /// How long idle power is measured, and the maximum age of an earlier run's baseline.
    baseline: Option<(Duration, Duration)>,
    warmup: Box<dyn WarmupPolicy>,
    workload: Box<dyn WorkloadPolicy>,
    metrics: Option<Box<dyn MetricsPolicy>>,
    /// Whether the policies are components. Components receive the host's resources instead of the SDK's structs.
    has_components: bool,
}

impl Experiment {
    /// Creates an experiment on this model. It warms up with [`FixedCount`], has no requests and derives no metrics
    /// until these are set.
    pub fn new(model: Model) -> Self {
        Self {
            model,
            baseline: None,
            warmup: Box::new(FixedCount::default()),
            workload: Box::new(RequestList::new([])),
            metrics: None,
            has_components: false,
        }
    }

    /// Keeps each trial as a resource of the host too ([`Trial::resource`]), until the policies have seen it. The
    /// standard runner needs this to pass trials to policies that are components.
    pub fn with_components(mut self) -> Self {
        self.has_components = true;
        self
    }

    /// Measures idle power for `length` before the warm-up, so that every measurement also has its energy above idle. A
    /// baseline that an earlier run measured at most `lifetime` ago is used instead. A length of zero means no
    /// baseline.
    pub fn baseline(mut self, length: Duration, lifetime: Duration) -> Self {
        self.baseline = Some((length, lifetime)).filter(|(length, _)| !length.is_zero());
        self
    }

    /// Sets the warm-up policy.
    pub fn warmup(mut self, policy: impl WarmupPolicy + 'static) -> Self {
        self.warmup = Box::new(policy);
        self
    }

    /// Sets the workload: the requests that are measured.
    pub fn workload(mut self, workload: impl WorkloadPolicy + 'static) -> Self {
        self.workload = Box::new(workload);
        self
    }

    /// Sets the metrics as a function of all trials. The trials are kept in memory until the end.
    pub fn metrics(
        self,
        derive: impl FnMut(&ModelInfo, &[Trial]) -> Result<Vec<Metric>> + 'static,
    ) -> Self {
        self.metrics_policy(MetricsFn::new(derive))
    }

    /// Sets the metrics as a policy that receives one trial after another.
    pub fn metrics_policy(mut self, metrics: impl MetricsPolicy + 'static) -> Self {
        self.metrics = Some(Box::new(metrics));
        self
    }

    /// Runs all phases and reports the metrics. Fails if the workload has no request.
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
            history.iter_mut().for_each(Trial::drop_resource);
            match next {
                WarmupStep::Run { request, max_new_tokens } => {
                    let mut request = request.map_or_else(|| first.clone(), |request| *request);
                    request.max_new_tokens = max_new_tokens
                        .map_or(request.max_new_tokens, |most| most.min(request.max_new_tokens));
                    let trial = self.trial(history.len(), request)?;
                    history.push(trial);
                }
                WarmupStep::Wait(length) => sleep_for(length),
                WarmupStep::Done(reason) => {
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
        let trial = Trial::from_generation(index as u32, request, Generation::from(&generation));
        Ok(match self.has_components {
            true => trial.with_resource(trials::Trial::new(index as u32, asked, generation)),
            false => trial,
        })
    }

    /// Creates the session that the metrics receive, as a resource of the host too if the policies are components.
    fn session(&self, measurement: Option<meter::Measurement>) -> Session {
        match self.has_components {
            true => trials::Session::new(measurement).into(),
            false => Session::new(measurement.as_ref().map(Into::into)),
        }
    }
}
