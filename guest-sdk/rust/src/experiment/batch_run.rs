//! Runs a workload in one continuous batch.
//!
//! ```text
//!            ahead of time               at its arrival
//! workload ──── next ────► submit ──────────► host: admit, step, step, ... ended ──► trial ──► next, observe
//!                │◄── scheduled: at most 64 ──►│◄────────── pending ──────────►│
//! ```
//!
//! The host admits requests at their arrivals by itself. The code here does not delay them, provided that requests are
//! submitted early enough.

use super::Experiment;
use crate::{
    Error, Result,
    bindings::{batches, generations, requests, trials},
    completion::Completion,
    meter::now,
    report,
    request::Request,
    schedule::{Schedule, Session},
    trial::Trial,
    wait::nanoseconds,
    window::Window,
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// The maximum number of sequences that are submitted before their arrival. More would cost the host little, but a
/// workload that adapts to ended trials would react later.
const MAX_SCHEDULED: u32 = 64;

/// The time from the first submission to the moment that arrivals count from. Without it the first requests would be
/// due while later ones are still being tokenized.
const LEAD: Duration = Duration::from_millis(50);

/// The state of a run in a continuous batch.
struct BatchRun {
    batch: batches::Batch,
    schedule: Schedule,
    /// The moment that arrivals count from, in ns since the run began.
    began: u64,
    /// The number of submitted requests.
    submitted: u32,
    /// The submitted requests that have not ended, by their index.
    pending: BTreeMap<u32, PendingRequest>,
    /// The index of the request that each running sequence belongs to.
    requests_of_sequences: BTreeMap<u64, u32>,
    /// Ended trials that the workload has not received yet.
    ended: VecDeque<Trial>,
    /// Whether the workload may return another request.
    has_more: bool,
}

/// A submitted request with at least one sequence that has not ended.
struct PendingRequest {
    request: Request,
    sequences: Vec<u64>,
    completions: BTreeMap<u64, generations::Completion>,
}

impl Experiment {
    /// Measures the workload in a batch, in one window.
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
        let mut run = BatchRun {
            batch,
            schedule,
            began: now() + lead,
            submitted: 0,
            pending: BTreeMap::new(),
            requests_of_sequences: BTreeMap::new(),
            ended: VecDeque::new(),
            has_more: true,
        };
        let mut first = Some(first);
        loop {
            while run.has_capacity() {
                let next = match first.take() {
                    Some(first) => Some(first),
                    None => self.next_request(run.ended.pop_front())?,
                };
                run.submit(next)?;
            }
            if run.pending.is_empty() {
                break;
            }
            let progress = run.batch.run_until_end()?;
            let ended = progress.ended();
            if ended.is_empty() && progress.steps() == 0 {
                return Err(
                    "requests of the workload wait for a script that chooses their tokens, \
                            which no workload can"
                        .into(),
                );
            }
            for completion in ended {
                let trial = run.complete(completion, self.has_components);
                run.ended.extend(trial);
            }
            let done = run.submitted - run.pending.len() as u32;
            let total = self.workload.total().unwrap_or(0);
            report::show_progress(done.into(), total, "requests");
        }
        while let Some(trial) = run.ended.pop_front() {
            self.next_request(Some(trial))?;
        }
        let measurement = window.close_as_resource()?;
        Ok(self.session(Some(measurement)))
    }

    /// Asks the workload for its next request. If a trial has ended, the workload and then the metrics receive it.
    fn next_request(&mut self, ended: Option<Trial>) -> Result<Option<Request>> {
        let next = self.workload.next(ended.as_ref())?;
        if let (Some(metrics), Some(trial)) = (&mut self.metrics, ended) {
            metrics.observe(trial)?;
        }
        Ok(next)
    }
}

impl BatchRun {
    /// Returns true if another request can be submitted now.
    fn has_capacity(&mut self) -> bool {
        let length = self.schedule.length.map_or(u64::MAX, nanoseconds);
        self.has_more &= now() < self.began.saturating_add(length);
        let most = self.schedule.concurrency.map_or(usize::MAX, |most| most as usize);
        self.has_more && self.pending.len() < most && self.batch.scheduled() < MAX_SCHEDULED
    }

    /// Submits the workload's next request. If there is none, or if it arrives after the schedule's length, no more are
    /// requested.
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
        self.requests_of_sequences.extend(sequences.iter().map(|&sequence| (sequence, index)));
        let pending = PendingRequest { request, sequences, completions: BTreeMap::new() };
        self.pending.insert(index, pending);
        Ok(())
    }

    /// Records an ended sequence. Returns the trial of its request if all sequences of the request have ended.
    fn complete(
        &mut self,
        completion: generations::Completion,
        keeps_resource: bool,
    ) -> Option<Trial> {
        let sequence = completion.sequence();
        let index = self.requests_of_sequences.remove(&sequence)?;
        let request = self.pending.get_mut(&index)?;
        request.completions.insert(sequence, completion);
        if request.completions.len() < request.sequences.len() {
            return None;
        }
        let PendingRequest { request, sequences, mut completions } = self.pending.remove(&index)?;
        let on_host: Vec<_> = sequences.iter().filter_map(|one| completions.remove(one)).collect();
        let completions = on_host.iter().map(Completion::from).collect();
        let asked = keeps_resource.then(|| requests::Request::from(&request));
        let trial = Trial::from_completions(index, request, completions);
        Some(match asked {
            Some(asked) => trial.with_resource(trials::Trial::batched(index, asked, on_host)),
            None => trial,
        })
    }
}
