//! What the ranks of a model share when one of them fails: none waits for it for ever, and the first
//! failure is what is told.

use crate::{Error, Result};
use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// How long a waiting rank sleeps before it looks whether another has failed.
pub const LOOK: Duration = Duration::from_millis(20);

/// Whether a rank has failed, and how long others wait for one.
pub struct Fate {
    deadline: Duration,
    failure: OnceLock<(usize, String)>,
}

impl Fate {
    /// Ranks that wait this long for another at most.
    pub fn new(deadline: Duration) -> Self {
        Self { deadline, failure: OnceLock::new() }
    }

    /// Notes that a rank has failed. Only the first failure counts: the others follow from it.
    pub fn fail(&self, rank: usize, reason: impl Into<String>) {
        let _ = self.failure.set((rank, reason.into()));
    }

    /// Fails if a rank has.
    pub fn check(&self) -> Result<()> {
        match self.failure.get() {
            Some((rank, reason)) => Err(Error::Rank { rank: *rank, reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// To be asked again and again by who has waited for `rank` since `began`: fails once a rank has
    /// failed, or `more` than the deadline has passed.
    pub fn waiting(&self, rank: usize, began: Instant, more: Duration) -> Result<()> {
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
        self.check()
    }
}
