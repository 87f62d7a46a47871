//! What the engines have done in a run, in numbers that only grow, and what of it is yet to be written.

use crate::energy_shares::PhaseEnergy;
use llem_record::event::Activity;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// All that has been done.
#[derive(Default)]
pub struct Work {
    done: Mutex<Done>,
    unsettled: Mutex<Vec<Arc<dyn Unsettled>>>,
}

/// How much has been done since the run began.
#[derive(Default)]
pub struct Done {
    /// Requests, tokens, time and operations.
    pub activity: Activity,
    /// Energy by phase.
    pub energy: PhaseEnergy,
    /// Requests that were made.
    pub requests: u64,
    /// Sequences that were asked for, each of which has a stream of random numbers.
    pub streams: u64,
}

/// Work whose energy is known only once the counters have ticked, and which is written then.
pub trait Unsettled: Send + Sync {
    /// Counts in the energy of what had ended by a moment.
    fn settle(&self, by: Instant);
    /// Writes what had ended by a moment.
    fn flush(&self, by: Instant) -> wasmtime::Result<()>;
}

impl Work {
    /// How much has been done.
    pub fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers `count` streams of random numbers that no sequence of the run has had, and returns the first.
    pub fn next_streams(&self, count: usize) -> u64 {
        let mut done = self.done();
        let first = done.streams;
        done.streams += count as u64;
        first
    }

    /// Numbers a request.
    pub fn next_request(&self) -> u64 {
        let mut done = self.done();
        done.requests += 1;
        done.requests - 1
    }

    fn unsettled(&self) -> MutexGuard<'_, Vec<Arc<dyn Unsettled>>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps work until it is forgotten.
    pub fn remember(&self, work: Arc<dyn Unsettled>) {
        self.unsettled().push(work);
    }

    /// Forgets work of which all is written.
    pub fn forget(&self, work: &Arc<dyn Unsettled>) {
        self.unsettled().retain(|other| !Arc::ptr_eq(other, work));
    }

    /// Counts in the energy of all that has been done, with what has been used since the counters' last ticks as a guess.
    pub fn settle(&self) {
        let now = Instant::now();
        let all = self.unsettled().clone();
        all.iter().for_each(|work| work.settle(now));
    }

    /// Writes all that waits for its energy, and forgets it.
    pub fn finish(&self) -> wasmtime::Result<()> {
        let all = std::mem::take(&mut *self.unsettled());
        // All are written, even where one cannot be.
        let written: Vec<_> = all.iter().map(|work| work.flush(Instant::now())).collect();
        written.into_iter().collect()
    }
}
