//! A rank on a thread of its own, and the trait that sends commands to any rank.

use super::{
    failure::{FailureState, POLL_INTERVAL},
    rank::Rank,
    rank_command::{RankCommand, Reply},
};
use crate::{Error, Result, cpu::threads::Team};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Sends commands to another rank and receives its replies.
pub(crate) trait RankLink: Send {
    /// Returns true if the rank is a thread of this process. A thread notices at once if another rank fails in the
    /// middle of a pass.
    fn is_thread(&self) -> bool;
    /// Sends the next command.
    fn send(&mut self, command: &RankCommand) -> Result<()>;
    /// Waits for the reply to the last command, at most `more` longer than the deadline.
    fn wait_for_reply(&mut self, more: Duration) -> Result<Reply>;
}

/// The link to a rank that is a thread of this process.
pub(super) struct Worker {
    rank: usize,
    commands: Option<Sender<RankCommand>>,
    replies: Receiver<Reply>,
    failure: Arc<FailureState>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts rank `rank` on a new thread. The rank loads its part at once, and its first reply says what it has
    /// loaded.
    pub(super) fn start(
        rank: usize,
        team: Team,
        failure: &Arc<FailureState>,
        load: impl FnOnce() -> Result<Rank> + Send + 'static,
    ) -> Result<Self> {
        let (commands, to_do) = mpsc::channel();
        let (done, replies) = mpsc::channel();
        let shared = Arc::clone(failure);
        let work = move || {
            let worked = catch_unwind(AssertUnwindSafe(|| {
                team.work(|| serve(rank, load, &to_do, &done, &shared));
            }));
            if worked.is_err() {
                shared.fail(rank, "it panicked; its last words are on standard error");
            }
        };
        let thread = thread::Builder::new()
            .name(format!("llem-rank-{rank}"))
            .spawn(work)
            .map_err(|error| Error::Rank { rank, reason: format!("no thread for it: {error}") })?;
        let (commands, failure) = (Some(commands), Arc::clone(failure));
        Ok(Self { rank, commands, replies, failure, thread: Some(thread) })
    }
}

/// Loads a rank and runs its commands until the sender is dropped.
fn serve(
    number: usize,
    load: impl FnOnce() -> Result<Rank>,
    to_do: &Receiver<RankCommand>,
    done: &Sender<Reply>,
    failure: &FailureState,
) {
    let _span = tracing::debug_span!("rank", rank = number).entered();
    let loaded = load();
    let _ = done.send(Rank::load_reply(&loaded));
    let Ok(mut rank) = loaded else { return };
    while let Ok(command) = to_do.recv() {
        let result = rank.execute(&command);
        if let RankCommand::Pass(_) = command {
            // A pass has no reply, because the ranks meet in their groups during the pass.
            if let Err(error) = result {
                failure.fail(number, error.to_string());
            }
        } else {
            let _ = done.send(Reply::from(result));
        }
    }
}

impl RankLink for Worker {
    fn is_thread(&self) -> bool {
        true
    }

    fn send(&mut self, command: &RankCommand) -> Result<()> {
        self.failure.check()?;
        let sent = self.commands.as_ref().and_then(|way| way.send(command.clone()).ok());
        sent.ok_or_else(|| self.ended())
    }

    fn wait_for_reply(&mut self, more: Duration) -> Result<Reply> {
        let began = Instant::now();
        loop {
            match self.replies.recv_timeout(POLL_INTERVAL) {
                Ok(reply) => return reply.into_result(self.rank),
                Err(RecvTimeoutError::Timeout) => {
                    self.failure.check_wait(self.rank, began, more)?
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            }
        }
    }
}

impl Worker {
    fn ended(&self) -> Error {
        self.failure.fail(self.rank, "its thread ended");
        match self.failure.check() {
            Err(error) => error,
            Ok(()) => Error::Rank { rank: self.rank, reason: "its thread ended".to_owned() },
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.commands = None;
        // A thread that hangs is not waited for. It ends with the process.
        if self.failure.check().is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(deadline: Duration, load: impl FnOnce() -> Result<Rank> + Send + 'static) -> String {
        let failure = Arc::new(FailureState::new(deadline));
        let mut worker = Worker::start(3, Team::Alone, &failure, load).expect("a thread");
        let error = worker.wait_for_reply(Duration::ZERO).expect_err("it failed");
        assert!(worker.send(&RankCommand::Synchronize).is_err(), "the model is lost");
        error.to_string()
    }

    #[test]
    fn a_thread_that_panics_or_hangs_is_named() {
        // A busy machine may start the thread late, so the deadline is no part of this.
        let panicked = failure(Duration::from_secs(600), || panic!("as it should"));
        assert!(panicked.starts_with("rank 3 failed: it panicked"), "{panicked}");
        let (hold, held) = mpsc::channel::<()>();
        let hung = failure(Duration::from_millis(200), move || {
            // Hangs until the test is over.
            let _ = held.recv();
            Err(Error::Unsupported("too late".to_owned()))
        });
        drop(hold);
        assert!(hung.starts_with("rank 3 failed: others waited for it"), "{hung}");
    }

    #[test]
    fn what_is_wrong_with_the_input_is_told_as_it_is() {
        assert_eq!(failure_of_input(), "a bad file");
    }

    fn failure_of_input() -> String {
        let failure = Arc::new(FailureState::new(Duration::from_secs(5)));
        let load = || Err(Error::Invalid("a bad file".to_owned()));
        let mut worker = Worker::start(1, Team::Alone, &failure, load).expect("a thread");
        worker.wait_for_reply(Duration::ZERO).expect_err("it failed").to_string()
    }
}
