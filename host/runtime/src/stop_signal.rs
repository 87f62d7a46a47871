//! The stop signal of a run, which ends it early wherever it is.
//!
//! ```text
//! request ──► guest code        at the next epoch tick
//!         ──► a pass of a model within it, every few milliseconds
//!         ──► a waiting call, at once, except that measured work first ends and is recorded
//! ```

use std::{fmt, sync::OnceLock, time::Duration};
use tokio::{sync::watch, time};
use tokio_util::sync::CancellationToken;

/// How long measured work may take to end after the run was stopped. A pass is interrupted within half a second.
const GRACE: Duration = Duration::from_secs(1);

/// Why a run is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Ctrl-C or a termination signal.
    Interrupted,
    /// The run took longer than its deadline, which is the value.
    Deadline(Duration),
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => f.write_str("interrupted"),
            Self::Deadline(limit) => {
                write!(
                    f,
                    "the run's deadline of {} s has passed; --deadline raises it",
                    limit.as_secs_f64()
                )
            }
        }
    }
}

/// The stop signal of a run. Once it is set, it stays set.
#[derive(Debug, Default)]
pub struct StopSignal {
    token: CancellationToken,
    reason: OnceLock<StopReason>,
    /// The number of pieces of measured work that are running.
    working: watch::Sender<usize>,
}

/// Counts as running measured work until it is dropped.
pub struct WorkGuard<'a>(&'a watch::Sender<usize>);

impl Drop for WorkGuard<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|working| *working -= 1);
    }
}

impl StopSignal {
    /// Stops the run. If it is called again, the first reason stays.
    pub fn request(&self, reason: StopReason) {
        let _ = self.reason.set(reason);
        self.token.cancel();
    }

    /// Returns true if the run was stopped. Cheap enough for every decode step.
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Why the run was stopped, or `None` if it was not.
    pub fn reason(&self) -> Option<StopReason> {
        self.is_requested().then(|| self.reason.get().copied()).flatten()
    }

    /// Waits until the run is stopped.
    pub async fn requested(&self) -> StopReason {
        self.token.cancelled().await;
        // The reason is set before the token is cancelled.
        self.reason.get().copied().unwrap_or(StopReason::Interrupted)
    }

    /// Notes that measured work begins. Such work checks the signal itself and is recorded as far as it came.
    pub fn begin_work(&self) -> WorkGuard<'_> {
        self.working.send_modify(|working| *working += 1);
        WorkGuard(&self.working)
    }

    /// Waits until the run is stopped and no measured work is running, or until that work has taken too long to end.
    pub async fn wait_until_due(&self) -> StopReason {
        let reason = self.requested().await;
        let mut working = self.working.subscribe();
        let idle = working.wait_for(|&working| working == 0);
        let _ = time::timeout(GRACE, idle).await;
        reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn the_first_reason_stays() {
        let stop = StopSignal::default();
        assert!(!stop.is_requested());
        assert_eq!(stop.reason(), None);
        stop.request(StopReason::Deadline(GRACE));
        stop.request(StopReason::Interrupted);
        assert!(stop.is_requested());
        assert_eq!(stop.reason(), Some(StopReason::Deadline(GRACE)));
    }

    #[test]
    fn a_deadline_names_its_option() {
        let reason = StopReason::Deadline(Duration::from_millis(1500)).to_string();
        assert_eq!(reason, "the run's deadline of 1.5 s has passed; --deadline raises it");
    }

    #[tokio::test]
    async fn measured_work_may_end_first_but_not_for_ever() {
        let stop = StopSignal::default();
        let work = stop.begin_work();
        stop.request(StopReason::Interrupted);
        let started = Instant::now();
        assert_eq!(stop.wait_until_due().await, StopReason::Interrupted);
        assert!(started.elapsed() >= GRACE, "the work was waited for");
        drop(work);
        let started = Instant::now();
        stop.wait_until_due().await;
        assert!(started.elapsed() < GRACE, "nothing is left to wait for");
    }
}
