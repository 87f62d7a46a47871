//! Ready workloads.

use crate::{
    Result,
    bindings::{Request, Trial},
    policy::Workload,
};

/// A list of requests, run in order, the whole list as often as asked.
#[derive(Clone, Debug)]
pub struct Requests {
    requests: Vec<Request>,
    rounds: usize,
}

impl Requests {
    /// Each request once.
    pub fn new(requests: impl IntoIterator<Item = Request>) -> Self {
        Self { requests: requests.into_iter().collect(), rounds: 1 }
    }

    /// The whole list this often: rounds are interleaved, so that drift falls on all alike.
    pub fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }
}

impl Workload for Requests {
    fn next(&mut self, history: &[Trial]) -> Result<Option<Request>> {
        let done = history.len();
        let more = done < self.requests.len() * self.rounds;
        Ok(more.then(|| self.requests[done % self.requests.len()].clone()))
    }

    fn total(&self) -> Option<u64> {
        Some((self.requests.len() * self.rounds) as u64)
    }
}
