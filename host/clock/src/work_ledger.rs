//! Energy that virtual work drew, on its way from the engine to the meter.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// A piece of virtual work with the energy that it drew, on top of the power at rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// When the work began.
    pub began: Instant,
    /// When the work ended.
    pub ended: Instant,
    /// The energy that it drew, J, evenly over its time.
    pub joules: f64,
}

/// The virtual work that the meter has not taken yet. All clones share one list.
#[derive(Clone, Debug, Default)]
pub struct WorkLedger(Arc<Mutex<Vec<Work>>>);

impl WorkLedger {
    /// Adds a piece of work that has ended. Pieces are added in order of time and do not overlap.
    pub fn add(&self, work: Work) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(work);
    }

    /// Takes all work that was added since the last call. One meter calls it.
    pub fn take(&self) -> Vec<Work> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
