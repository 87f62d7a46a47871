//! One way to end a run early, whoever wants it ended and wherever it is.
//!
//! ```text
//! request ──► guest code        at the next epoch tick
//!         ──► a pass of a model within it, every few milliseconds
//!         ──► a call that waits at once; measured work is let end and recorded first
//! ```

use std::{fmt, sync::OnceLock, time::Duration};
use tokio::{sync::watch, time};
use tokio_util::sync::CancellationToken;

/// How long measured work may take to end once the run is to end. A pass is interrupted within half a second.
const GRACE: Duration = Duration::from_secs(1);

/// Why a run is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Ctrl-C or a termination signal.
    Interrupted,
    /// The run took longer than allowed.
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

/// A run's stop signal. Set once, never taken back.
#[derive(Debug, Default)]
pub struct Stop {
    token: CancellationToken,
    reason: OnceLock<StopReason>,
    /// Measured work that goes on.
    working: watch::Sender<usize>,
}

/// Measured work that goes on, until this is dropped.
pub struct Working<'a>(&'a watch::Sender<usize>);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|working| *working -= 1);
    }
}

impl Stop {
    /// Ends the run. The first reason stays.
    pub fn request(&self, reason: StopReason) {
        let _ = self.reason.set(reason);
        self.token.cancel();
    }

    /// Whether the run is to end. Cheap enough for every decode step.
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Why, if it is.
    pub fn reason(&self) -> Option<StopReason> {
        self.is_requested().then(|| self.reason.get().copied()).flatten()
    }

    /// Waits until the run is to end.
    pub async fn requested(&self) -> StopReason {
        self.token.cancelled().await;
        // It is set before the token is cancelled.
        self.reason.get().copied().unwrap_or(StopReason::Interrupted)
    }

    /// Notes that measured work begins, which asks by itself whether it is to end, and is recorded as far as it came.
    pub fn working(&self) -> Working<'_> {
        self.working.send_modify(|working| *working += 1);
        Working(&self.working)
    }

    /// Waits until the run is to end and no measured work goes on, or that has taken too long to end.
    pub async fn due(&self) -> StopReason {
        let reason = self.requested().await;
        let mut working = self.working.subscribe();
        let idle = working.wait_for(|&working| working == 0);
        let _ = time::timeout(GRACE, idle).await;
        reason
    }
}
