//! Totals of the work that a run's engines have done, and the work whose energy is not known yet.

use super::stream_numbers::StreamNumbers;
use crate::energy_shares::PhaseEnergy;
use llem_record::Activity;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

#[derive(Default)]
pub(crate) struct WorkTracker {
    totals: Mutex<WorkTotals>,
    pending: Mutex<Vec<Arc<dyn PendingWork>>>,
}

/// Totals since the run began. They only grow.
#[derive(Default)]
pub(crate) struct WorkTotals {
    /// Requests, tokens, time and operations.
    pub activity: Activity,
    pub energy: PhaseEnergy,
    /// The number of requests.
    pub requests: u64,
    /// The number of adapters that were attached.
    pub adapters: u64,
    /// The streams of random numbers that sequences have used.
    pub streams: StreamNumbers,
}

/// Work whose energy is known only after the counters have ticked, and which is written then.
pub(crate) trait PendingWork: Send + Sync {
    /// Computes the energy of all work that had ended at the moment `by`.
    fn settle(&self, by: Instant);
    /// Writes all work that had ended at the moment `by`.
    fn flush(&self, by: Instant) -> wasmtime::Result<()>;
}

impl WorkTracker {
    /// The totals, locked.
    pub(crate) fn totals(&self) -> MutexGuard<'_, WorkTotals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves `count` streams of random numbers for sequences of a phase, and returns the number of the first.
    pub(crate) fn next_streams(&self, phase: &str, count: usize) -> u64 {
        self.totals().streams.reserve(phase, count)
    }

    /// Returns the number of the next request, from 0.
    pub(crate) fn next_request(&self) -> u64 {
        let mut totals = self.totals();
        totals.requests += 1;
        totals.requests - 1
    }

    /// Returns the number of the next adapter that is attached, from 0.
    pub(crate) fn next_adapter(&self) -> u64 {
        let mut totals = self.totals();
        totals.adapters += 1;
        totals.adapters - 1
    }

    fn pending(&self) -> MutexGuard<'_, Vec<Arc<dyn PendingWork>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds work that waits for its energy.
    pub(crate) fn add_pending(&self, work: Arc<dyn PendingWork>) {
        self.pending().push(work);
    }

    /// Removes work that is written completely.
    pub(crate) fn remove_pending(&self, work: &Arc<dyn PendingWork>) {
        self.pending().retain(|other| !Arc::ptr_eq(other, work));
    }

    /// Computes the energy of all work until now. The energy since the counters' last ticks is estimated.
    pub(crate) fn settle(&self) {
        let now = llem_clock::now();
        let all = self.pending().clone();
        all.iter().for_each(|work| work.settle(now));
    }

    /// Writes all work that waits for its energy.
    pub(crate) fn finish(&self) -> wasmtime::Result<()> {
        let all = std::mem::take(&mut *self.pending());
        // All are written, even if one of them fails.
        let written: Vec<_> = all.iter().map(|work| work.flush(llem_clock::now())).collect();
        written.into_iter().collect()
    }
}
