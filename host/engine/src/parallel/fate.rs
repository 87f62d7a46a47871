//! What the ranks of a model share when one of them fails: none waits for it for ever, and the first
//! failure is what is told.

use crate::{Error, Result};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// How long a waiting rank sleeps before it looks whether another has failed.
pub const LOOK: Duration = Duration::from_millis(20);

/// Whether a rank has failed, and how long others wait for one.
pub struct Fate {
    deadline: Duration,
    /// How long who has waited in vain listens to what others say of it.
    patience: Duration,
    failure: Mutex<Option<(usize, String)>>,
}

/// How long a process listens that is not rank 0, which listens twice as long: the word of all has come to it then.
const PATIENCE: Duration = Duration::from_millis(200);

impl Fate {
    /// Ranks that wait this long for another at most.
    pub fn new(deadline: Duration) -> Self {
        Self { deadline, patience: Duration::ZERO, failure: Mutex::default() }
    }

    /// The same for a process among others.
    pub fn of_process(deadline: Duration, rank: usize) -> Self {
        let patience = if rank == 0 { 2 * PATIENCE } else { PATIENCE };
        Self { patience, ..Self::new(deadline) }
    }

    /// Notes that a rank has failed. Only the first failure counts: the others follow from it.
    pub fn fail(&self, rank: usize, reason: impl Into<String>) {
        self.failure().get_or_insert_with(|| (rank, reason.into()));
    }

    /// Notes that the process of a rank says that another has failed. Who is waited for in vain and says that has waited
    /// itself, and is not what failed.
    pub fn hear(&self, from: usize, rank: usize, reason: String) {
        let mut failure = self.failure();
        match &mut *failure {
            Some((accused, _)) if *accused != from || rank == from => {}
            known => *known = Some((rank, reason)),
        }
    }

    fn failure(&self) -> MutexGuard<'_, Option<(usize, String)>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails if a rank has.
    pub fn check(&self) -> Result<()> {
        match self.failure().clone() {
            Some((rank, reason)) => Err(Error::Rank { rank, reason }),
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
        if self.check().is_err() {
            thread::sleep(self.patience);
        }
        self.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(fate: &Fate) -> Option<usize> {
        match fate.check() {
            Err(Error::Rank { rank, .. }) => Some(rank),
            _ => None,
        }
    }

    #[test]
    fn a_rank_that_waits_itself_is_not_what_failed() {
        let fate = Fate::new(Duration::ZERO);
        fate.fail(1, "it hangs");
        fate.hear(3, 1, "it hangs".to_owned());
        assert_eq!(failed(&fate), Some(1));
        fate.hear(1, 2, "it hangs".to_owned());
        assert_eq!(failed(&fate), Some(2));
        // What has failed itself stays what failed.
        fate.hear(2, 2, "out of memory".to_owned());
        fate.hear(1, 0, "it hangs".to_owned());
        assert_eq!(failed(&fate), Some(2));
    }
}
