//! A workload in a continuous batch, as its schedule says.
//!
//! ```text
//!            ahead of time               at its arrival
//! workload ──── next ────► submit ──────────► host: admit, step, step, ... ended ──► trial ──► next, observe
//!                │◄── scheduled: at most 64 ──►│◄───────── under way ─────────►│
//! ```
//!
//! The host takes requests up at their arrivals by itself: nothing that is done here lies between the two, so long as they
//! are asked for early enough.

use super::Experiment;
use crate::{
    Error, Result,
    bindings::{batches, generations, requests, trials},
    completion::Completion,
    meter::now,
    report,
    request::Request,
    rest::nanoseconds,
    schedule::{Schedule, Session},
    trial::Trial,
    window::Window,
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Sequences that are asked for ahead of their arrival. The host needs little to keep one, and a workload that looks at
/// what has ended is to see it before long.
const AHEAD: u32 = 64;

/// From when the first requests are submitted to the moment that arrivals count from. Without it those that arrive first
/// would be due while the others are still being tokenized.
const LEAD: Duration = Duration::from_millis(50);

/// What is under way.
struct Course {
    batch: batches::Batch,
    schedule: Schedule,
    /// The moment that arrivals count from, ns since the run began.
    began: u64,
    /// Requests that were submitted.
    submitted: u32,
    /// Those that have not ended, by their index.
    under_way: BTreeMap<u32, UnderWay>,
    /// Which request each of their sequences is of.
    owners: BTreeMap<u64, u32>,
    /// Trials that the workload has not been given.
    ended: VecDeque<Trial>,
    /// Whether the workload may have another request.
    has_more: bool,
}

/// A request that was submitted.
struct UnderWay {
    request: Request,
    sequences: Vec<u64>,
    completions: BTreeMap<u64, generations::Completion>,
}

impl Experiment {
    /// Measures the workload in a batch, within one window.
    pub(super) fn measure_batched(
        &mut self,
        batch: batches::Batch,
        schedule: Schedule,
        first: Request,
    ) -> Result<Session> {
        if schedule.concurrency == Some(0) {
            return Err(Error::invalid_argument(
                "the workload's schedule has a concurrency of 0: it is at least 1",
            ));
        }
        let window = Window::open("session")?;
        let lead = if first.arrival.is_some() { nanoseconds(LEAD) } else { 0 };
        let mut course = Course {
            batch,
            schedule,
            began: now() + lead,
            submitted: 0,
            under_way: BTreeMap::new(),
            owners: BTreeMap::new(),
            ended: VecDeque::new(),
            has_more: true,
        };
        let mut first = Some(first);
        loop {
            while course.takes_more() {
                let next = match first.take() {
                    Some(first) => Some(first),
                    None => self.ask(course.ended.pop_front())?,
                };
                course.submit(next)?;
            }
            if course.under_way.is_empty() {
                break;
            }
            let progress = course.batch.run_until_end()?;
            let ended = progress.ended();
            if ended.is_empty() && progress.steps() == 0 {
                return Err(
                    "requests of the workload wait for a script that chooses their tokens, \
                            which no workload can"
                        .into(),
                );
            }
            for completion in ended {
                let trial = course.end(completion, self.has_components);
                course.ended.extend(trial);
            }
            let done = course.submitted - course.under_way.len() as u32;
            let total = self.workload.total().unwrap_or(0);
            report::show_progress(done.into(), total, "requests");
        }
        while let Some(trial) = course.ended.pop_front() {
            self.ask(Some(trial))?;
        }
        let measurement = window.close_on_host()?;
        Ok(self.session(Some(measurement)))
    }

    /// Gives the workload a trial, if one has ended, and asks for the next request; then the metrics are given it too.
    fn ask(&mut self, ended: Option<Trial>) -> Result<Option<Request>> {
        let next = self.workload.next(ended.as_ref())?;
        if let (Some(metrics), Some(trial)) = (&mut self.metrics, ended) {
            metrics.observe(trial)?;
        }
        Ok(next)
    }
}

impl Course {
    /// Whether another request is to be asked for.
    fn takes_more(&mut self) -> bool {
        let length = self.schedule.length.map_or(u64::MAX, nanoseconds);
        self.has_more &= now() < self.began.saturating_add(length);
        let most = self.schedule.concurrency.map_or(usize::MAX, |most| most as usize);
        self.has_more && self.under_way.len() < most && self.batch.scheduled() < AHEAD
    }

    /// Submits the workload's next request, unless it would arrive after the time in which requests are sent.
    fn submit(&mut self, next: Option<Request>) -> Result<()> {
        let is_in_time = |request: &Request| match (request.arrival, self.schedule.length) {
            (Some(arrival), Some(length)) => arrival < length,
            _ => true,
        };
        let Some(request) = next.filter(is_in_time) else {
            self.has_more = false;
            return Ok(());
        };
        let arrival = request.arrival.map(|at| self.began.saturating_add(nanoseconds(at)));
        let sequences = self.batch.submit(&requests::Request::from(&request), arrival)?;
        let index = self.submitted;
        self.submitted += 1;
        self.owners.extend(sequences.iter().map(|&sequence| (sequence, index)));
        let under_way = UnderWay { request, sequences, completions: BTreeMap::new() };
        self.under_way.insert(index, under_way);
        Ok(())
    }

    /// Takes note of a sequence that has ended, and returns its request's trial if it was the last of it.
    fn end(&mut self, completion: generations::Completion, is_held: bool) -> Option<Trial> {
        let sequence = completion.sequence();
        let index = self.owners.remove(&sequence)?;
        let request = self.under_way.get_mut(&index)?;
        request.completions.insert(sequence, completion);
        if request.completions.len() < request.sequences.len() {
            return None;
        }
        let UnderWay { request, sequences, mut completions } = self.under_way.remove(&index)?;
        let on_host: Vec<_> = sequences.iter().filter_map(|one| completions.remove(one)).collect();
        let completions = on_host.iter().map(Completion::from).collect();
        let asked = is_held.then(|| requests::Request::from(&request));
        let trial = Trial::batched(index, request, completions);
        Some(match asked {
            Some(asked) => trial.held_by(trials::Trial::batched(index, asked, on_host)),
            None => trial,
        })
    }
}
