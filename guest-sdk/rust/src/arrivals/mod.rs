//! When requests arrive: open loops of several kinds, a closed loop, or all at once; and any workload by them.
//!
//! ```no_run
//! # use llem_sdk::prelude::*;
//! # fn run(requests: Requests) -> Result<()> {
//! // 20 requests a second on average, at most 64 sequences at a time, for as long as there are requests.
//! let workload = Arrivals::poisson(20.0).of(requests, BatchOptions::sequences(64));
//! Experiment::new(Model::granted()?).workload(workload).run()
//! # }
//! ```
//!
//! Times are drawn ahead and the host keeps to them, so that what runs changes nothing about when requests arrive.

mod gaps;
mod offsets;

pub use offsets::Offsets;

use crate::{
    Error, Result, batch::BatchOptions, inputs::rows, model_info::ModelInfo, policy::Workload,
    random::Random, request::Request, schedule::Schedule, trial::Trial,
};
use offsets::{Process, Rate};
use std::time::Duration;

/// When requests arrive.
#[derive(Clone, Debug)]
pub struct Arrivals {
    process: Process,
    concurrency: Option<u32>,
    length: Option<Duration>,
    stream: String,
}

impl Arrivals {
    /// A Poisson process: gaps are exponential, of a mean of `1 / rate` s.
    pub fn poisson(rate: f64) -> Self {
        Self::drawn(Rate::Steady(rate), 1.0)
    }

    /// Gaps of a gamma distribution of shape `burstiness` and scale `1 / (rate * burstiness)`, as `vllm bench serve` draws
    /// them: of 1 a Poisson process, of less one with bursts, of more a more even one. vLLM stretches all times so that
    /// the last is the number of requests over the rate; here they stay as drawn.
    pub fn gamma(rate: f64, burstiness: f64) -> Self {
        Self::drawn(Rate::Steady(rate), burstiness)
    }

    /// Gaps of `1 / rate` s each.
    pub fn constant(rate: f64) -> Self {
        Self::drawn(Rate::Steady(rate), f64::INFINITY)
    }

    /// Exponential gaps by a rate that goes from one to the other over so many requests, and stays there:
    /// `from + (to - from) * p`, where p is the request's share of them, as vLLM's `linear` ramp-up has it.
    pub fn linear_ramp(from: f64, to: f64, requests: u32) -> Self {
        Self::drawn(Rate::Linear { from, to, requests }, 1.0)
    }

    /// The same by `from * (to / from)^p`, as vLLM's `exponential` ramp-up has it.
    pub fn exponential_ramp(from: f64, to: f64, requests: u32) -> Self {
        Self::drawn(Rate::Exponential { from, to, requests }, 1.0)
    }

    /// At these times, which do not fall. The workload ends with them.
    pub fn trace(offsets: impl IntoIterator<Item = Duration>) -> Self {
        Self::of_process(Process::Trace(offsets.into_iter().collect()))
    }

    /// At the times of a dataset's column, in s from the beginning.
    pub fn trace_of(dataset: &str, column: &str) -> Result<Self> {
        let offset = |seconds: f64| {
            Duration::try_from_secs_f64(seconds).map_err(|error| {
                let what = format!("dataset '{dataset}': '{column}' is {seconds} s: {error}");
                Error::invalid_argument(what)
            })
        };
        let offsets = rows(dataset)?.map(|row| offset(row?.get(column)?));
        Ok(Self::trace(offsets.collect::<Result<Vec<_>>>()?))
    }

    /// All at the beginning.
    pub fn at_once() -> Self {
        Self::of_process(Process::AtOnce)
    }

    /// A closed loop: each as soon as fewer than so many are under way.
    pub fn closed_loop(concurrency: u32) -> Self {
        Self::of_process(Process::WhenFree).concurrency(concurrency)
    }

    /// Draws gaps of another burstiness (see [`Self::gamma`]).
    pub fn burstiness(mut self, burstiness: f64) -> Self {
        if let Process::Drawn { burstiness: drawn, .. } = &mut self.process {
            *drawn = burstiness;
        }
        self
    }

    /// At most so many are under way at a time: others wait, and their latencies count from when they arrived.
    pub fn concurrency(mut self, requests: u32) -> Self {
        self.concurrency = Some(requests);
        self
    }

    /// Requests arrive for this long.
    pub fn length(mut self, length: Duration) -> Self {
        self.length = Some(length);
        self
    }

    /// Draws from the stream of this name of the run's seed, rather than from `arrivals`.
    pub fn stream(mut self, name: &str) -> Self {
        self.stream = name.to_owned();
        self
    }

    /// The requests of a workload, at these times, in a continuous batch.
    pub fn of<W: Workload>(self, workload: W, options: BatchOptions) -> Arriving<W> {
        Arriving { arrivals: self, options, workload, drawn: None }
    }

    /// The times themselves. Fails with `invalid-argument` for a rate or burstiness that is no number above 0, and for a
    /// trace that falls.
    pub fn offsets(&self) -> Result<Offsets> {
        Offsets::new(self.process.clone())
    }

    fn drawn(rate: Rate, burstiness: f64) -> Self {
        Self::of_process(Process::Drawn { rate, burstiness })
    }

    fn of_process(process: Process) -> Self {
        Self { process, concurrency: None, length: None, stream: "arrivals".to_owned() }
    }
}

/// A workload whose requests arrive at certain times.
#[derive(Debug)]
pub struct Arriving<W> {
    arrivals: Arrivals,
    options: BatchOptions,
    workload: W,
    /// The times, and what they are drawn with, once it has begun.
    drawn: Option<(Offsets, Random)>,
}

impl<W: Workload> Workload for Arriving<W> {
    fn begin(&mut self, model: &ModelInfo) -> Result<Schedule> {
        self.workload.begin(model)?;
        self.drawn = Some((self.arrivals.offsets()?, Random::new(&self.arrivals.stream)));
        let Arrivals { concurrency, length, .. } = self.arrivals;
        Ok(Schedule { batch: Some(self.options), concurrency, length })
    }

    fn next(&mut self, last: Option<&Trial>) -> Result<Option<Request>> {
        let Some(request) = self.workload.next(last)? else { return Ok(None) };
        let Some((offsets, random)) = &mut self.drawn else {
            return Err("a workload is asked for requests before it has begun".into());
        };
        Ok(offsets.draw(random).map(|arrival| Request { arrival, ..request }))
    }

    fn total(&self) -> Option<u64> {
        self.workload.total()
    }
}
