//! The failure state that the ranks of a model share. It ends the wait for a rank that fails or hangs, and it holds
//! the first failure, which is the one that is reported.

use crate::{Error, Result};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long a waiting rank sleeps before it checks again whether another rank has failed.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Whether a rank of the model has failed, and how long ranks wait for one another.
pub(crate) struct FailureState {
    deadline: Duration,
    /// How long a process whose wait has failed listens for reports of the other processes before it reports the
    /// failure.
    grace: Duration,
    failure: Mutex<Option<(usize, String)>>,
}

/// The grace time of any rank but rank 0. Rank 0 waits twice as long, because by then the reports of all ranks have
/// arrived.
const GRACE: Duration = Duration::from_millis(200);

impl FailureState {
    /// Creates the state of ranks that wait at most `deadline` for one another.
    pub(crate) fn new(deadline: Duration) -> Self {
        Self { deadline, grace: Duration::ZERO, failure: Mutex::default() }
    }

    /// Creates the state of rank `rank` if the ranks are processes.
    pub(crate) fn for_process(deadline: Duration, rank: usize) -> Self {
        let grace = if rank == 0 { 2 * GRACE } else { GRACE };
        Self { grace, ..Self::new(deadline) }
    }

    /// Records that a rank has failed. Only the first failure counts, because later ones follow from it.
    pub(crate) fn fail(&self, rank: usize, reason: impl Into<String>) {
        self.lock().get_or_insert_with(|| (rank, reason.into()));
    }

    /// Records a report of the process of rank `from` that rank `rank` has failed.
    ///
    /// If `from` was taken for the failed rank, because others waited for it in vain, its report replaces that
    /// failure: it was itself waiting for `rank`.
    pub(crate) fn record_report(&self, from: usize, rank: usize, reason: String) {
        let mut failure = self.lock();
        match &mut *failure {
            Some((accused, _)) if *accused != from || rank == from => {}
            known => *known = Some((rank, reason)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(usize, String)>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns an error if a rank has failed.
    pub(crate) fn check(&self) -> Result<()> {
        match self.lock().clone() {
            Some((rank, reason)) => Err(Error::Rank { rank, reason }),
            None => Ok(()),
        }
    }

    /// Checks a wait for rank `rank` that began at `began`. A waiting rank calls this again and again.
    ///
    /// # Errors
    /// A rank has failed, or the wait has lasted `more` longer than the deadline.
    pub(crate) fn check_wait(&self, rank: usize, began: Instant, more: Duration) -> Result<()> {
        let most = self.deadline + more;
        if began.elapsed() > most {
            self.fail(
                rank,
                format!(
                    "others waited for it for {:.0} s in vain: it hangs, or is much slower than they are; --rank-timeout sets how long they wait",
                    most.as_secs_f64()
                ),
            );
        }
        if self.check().is_err() {
            thread::sleep(self.grace);
        }
        self.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed_rank(failure: &FailureState) -> Option<usize> {
        match failure.check() {
            Err(Error::Rank { rank, .. }) => Some(rank),
            _ => None,
        }
    }

    #[test]
    fn a_rank_that_waits_itself_is_not_what_failed() {
        let failure = FailureState::new(Duration::ZERO);
        failure.fail(1, "it hangs");
        failure.record_report(3, 1, "it hangs".to_owned());
        assert_eq!(failed_rank(&failure), Some(1));
        failure.record_report(1, 2, "it hangs".to_owned());
        assert_eq!(failed_rank(&failure), Some(2));
        // A rank that has failed itself stays the failed one.
        failure.record_report(2, 2, "out of memory".to_owned());
        failure.record_report(1, 0, "it hangs".to_owned());
        assert_eq!(failed_rank(&failure), Some(2));
    }
}
