//! One way to end a run early, whoever wants it ended and wherever it is.
//!
//! Guest code sees it at the next epoch tick, a decode loop at its next step, a waiting host call
//! at once.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

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
    set: AtomicBool,
    reason: OnceLock<StopReason>,
    notify: Notify,
}

impl Stop {
    /// Ends the run. The first reason stays.
    pub fn request(&self, reason: StopReason) {
        let _ = self.reason.set(reason);
        self.set.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    /// Whether the run is to end. Cheap enough for every decode step.
    pub fn is_requested(&self) -> bool {
        self.set.load(Ordering::Acquire)
    }

    /// Why, if it is.
    pub fn reason(&self) -> Option<StopReason> {
        self.is_requested().then(|| self.reason.get().copied()).flatten()
    }

    /// Waits until the run is to end.
    pub async fn requested(&self) -> StopReason {
        loop {
            let notified = self.notify.notified();
            if let Some(reason) = self.reason() {
                return reason;
            }
            notified.await;
        }
    }
}
