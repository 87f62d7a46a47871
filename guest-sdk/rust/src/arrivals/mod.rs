//! Arrival processes: open loops of several kinds, a closed loop, or all requests at once.
//!
//! ```no_run
//! # use llem_sdk::prelude::*;
//! # fn run(requests: RequestList) -> Result<()> {
//! // 20 requests a second on average, at most 64 sequences at a time, for as long as there are requests.
//! let workload = Arrivals::poisson(20.0).apply_to(requests, BatchOptions::new(64));
//! Experiment::new(Model::load_granted()?).workload(workload).run()
//! # }
//! ```
//!
//! Arrival times are drawn in advance, and the host submits each request at its time. The load of the model therefore
//! does not change when requests arrive.

mod arrival_times;
mod gaps;

pub use arrival_times::ArrivalTimes;
#[cfg(test)]
pub(crate) use arrival_times::in_nanoseconds;
pub(crate) use gaps::{exponential, normal};

use crate::{
    Error, Result, batch::BatchOptions, inputs::rows, model_info::ModelInfo,
    policy::WorkloadPolicy, random::Random, request::Request, schedule::Schedule, trial::Trial,
};
use arrival_times::{ArrivalProcess, ArrivalRate};
use std::time::Duration;

/// When the requests of a workload arrive.
///
/// A host draws the random numbers during a run. The times can also be drawn without one:
///
/// ```
/// use llem_sdk::{Arrivals, UniformSource};
/// use std::time::Duration;
///
/// /// Always returns one half.
/// struct Half;
///
/// impl UniformSource for Half {
///     fn next_uniform(&mut self) -> f64 {
///         0.5
///     }
/// }
///
/// let mut even = Arrivals::constant(4.0).times()?;
/// assert_eq!(even.draw(&mut Half), Some(Some(Duration::from_millis(250))));
/// assert_eq!(even.draw(&mut Half), Some(Some(Duration::from_millis(500))));
///
/// // The median of an exponential distribution of mean 1/2 s is ln(2)/2 s.
/// let first = Arrivals::poisson(2.0).times()?.draw(&mut Half).flatten();
/// let seconds = first.ok_or("a Poisson process has times")?.as_secs_f64();
/// assert!((seconds - std::f64::consts::LN_2 / 2.0).abs() < 1e-9);
/// # Ok::<(), llem_sdk::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Arrivals {
    process: ArrivalProcess,
    concurrency: Option<u32>,
    length: Option<Duration>,
    stream: String,
}

impl Arrivals {
    /// Creates a Poisson process of `rate` requests a second: gaps are exponential with a mean of `1 / rate` seconds.
    pub fn poisson(rate: f64) -> Self {
        Self::from_rate(ArrivalRate::Constant(rate), 1.0)
    }

    /// Creates a process whose gaps follow a gamma distribution of shape `burstiness` and scale
    /// `1 / (rate * burstiness)`, as `vllm bench serve` draws them. A burstiness of 1 is a Poisson process. A lower one
    /// gives bursts, a higher one more even gaps.
    ///
    /// vLLM stretches all times so that the last one equals the number of requests over the rate. Here they stay as
    /// drawn.
    pub fn gamma(rate: f64, burstiness: f64) -> Self {
        Self::from_rate(ArrivalRate::Constant(rate), burstiness)
    }

    /// Creates a process with equal gaps of `1 / rate` seconds.
    pub fn constant(rate: f64) -> Self {
        Self::from_rate(ArrivalRate::Constant(rate), f64::INFINITY)
    }

    /// Creates exponential gaps whose rate rises (or falls) linearly over the first `requests` requests and then stays:
    /// `from + (to - from) * p`, where p is the request's position among them, from 0 to 1. This is vLLM's `linear`
    /// ramp-up.
    pub fn linear_ramp(from: f64, to: f64, requests: u32) -> Self {
        Self::from_rate(ArrivalRate::Linear { from, to, requests }, 1.0)
    }

    /// Creates exponential gaps whose rate changes over the first `requests` requests by `from * (to / from)^p`, where
    /// p is the request's position among them, from 0 to 1. This is vLLM's `exponential` ramp-up.
    pub fn exponential_ramp(from: f64, to: f64, requests: u32) -> Self {
        Self::from_rate(ArrivalRate::Exponential { from, to, requests }, 1.0)
    }

    /// Uses these times, counted from the beginning of the measurement. They must not decrease. The workload ends after
    /// the last of them.
    pub fn trace(offsets: impl IntoIterator<Item = Duration>) -> Self {
        Self::from_process(ArrivalProcess::Trace(offsets.into_iter().collect()))
    }

    /// Reads the times from a column of a dataset, in seconds from the beginning of the measurement.
    pub fn trace_from_dataset(dataset: &str, column: &str) -> Result<Self> {
        let offset = |seconds: f64| {
            Duration::try_from_secs_f64(seconds).map_err(|error| {
                let what = format!("dataset '{dataset}': '{column}' is {seconds} s: {error}");
                Error::invalid_argument(what)
            })
        };
        let offsets = rows(dataset)?.map(|row| offset(row?.get(column)?));
        Ok(Self::trace(offsets.collect::<Result<Vec<_>>>()?))
    }

    /// Makes all requests arrive at the beginning.
    pub fn at_once() -> Self {
        Self::from_process(ArrivalProcess::AtOnce)
    }

    /// Creates a closed loop: a request is sent as soon as fewer than `concurrency` requests are running or waiting.
    pub fn closed_loop(concurrency: u32) -> Self {
        Self::from_process(ArrivalProcess::ClosedLoop).concurrency(concurrency)
    }

    /// Changes the burstiness of drawn gaps (see [`Self::gamma`]). It has no effect on other processes.
    pub fn burstiness(mut self, burstiness: f64) -> Self {
        if let ArrivalProcess::Drawn { burstiness: drawn, .. } = &mut self.process {
            *drawn = burstiness;
        }
        self
    }

    /// Limits the number of submitted requests that have not ended. Other requests wait, and their latencies count from
    /// their arrival.
    pub fn concurrency(mut self, requests: u32) -> Self {
        self.concurrency = Some(requests);
        self
    }

    /// Sets how long requests are sent.
    pub fn length(mut self, length: Duration) -> Self {
        self.length = Some(length);
        self
    }

    /// Sets the name of the random stream that gaps are drawn from. It is `arrivals` by default.
    pub fn stream(mut self, name: &str) -> Self {
        self.stream = name.to_owned();
        self
    }

    /// Sends the requests of a workload at these times, in a continuous batch.
    pub fn apply_to<W: WorkloadPolicy>(
        self,
        workload: W,
        options: BatchOptions,
    ) -> TimedWorkload<W> {
        TimedWorkload { arrivals: self, options, workload, drawn: None }
    }

    /// Returns the generator of the times. Fails with `invalid-argument` if a rate or the burstiness is not a number
    /// above 0, or if a trace decreases.
    pub fn times(&self) -> Result<ArrivalTimes> {
        ArrivalTimes::new(self.process.clone())
    }

    fn from_rate(rate: ArrivalRate, burstiness: f64) -> Self {
        Self::from_process(ArrivalProcess::Drawn { rate, burstiness })
    }

    fn from_process(process: ArrivalProcess) -> Self {
        Self { process, concurrency: None, length: None, stream: "arrivals".to_owned() }
    }
}

/// A workload whose requests arrive at given times. [`Arrivals::apply_to`] creates it.
#[derive(Debug)]
pub struct TimedWorkload<W> {
    arrivals: Arrivals,
    options: BatchOptions,
    workload: W,
    /// The generator of the times and its random numbers. `None` before the workload begins.
    drawn: Option<(ArrivalTimes, Random)>,
}

impl<W: WorkloadPolicy> WorkloadPolicy for TimedWorkload<W> {
    fn begin(&mut self, model: &ModelInfo) -> Result<Schedule> {
        self.workload.begin(model)?;
        self.drawn = Some((self.arrivals.times()?, Random::new(&self.arrivals.stream)));
        let Arrivals { concurrency, length, .. } = self.arrivals;
        Ok(Schedule { batch: Some(self.options), concurrency, length })
    }

    fn next(&mut self, last: Option<&Trial>) -> Result<Option<Request>> {
        let Some(request) = self.workload.next(last)? else { return Ok(None) };
        let Some((times, random)) = &mut self.drawn else {
            return Err("a workload is asked for requests before it has begun".into());
        };
        Ok(times.draw(random).map(|arrival| Request { arrival, ..request }))
    }

    fn total(&self) -> Option<u64> {
        self.workload.total()
    }
}
