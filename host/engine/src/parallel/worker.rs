//! A rank on a thread of its own, and the way to tell it what to do.

use super::{
    command::{Command, Reply},
    fate::{Fate, LOOK},
    rank::Rank,
};
use crate::{Error, Result, cpu::parallel::Team};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// The way to another rank.
pub trait Link: Send {
    /// Whether it is a thread of this process, which learns at once where another fails in the middle of a pass.
    fn is_thread(&self) -> bool;
    /// Tells it what to do next.
    fn tell(&mut self, command: &Command) -> Result<()>;
    /// Waits for what that came to, `more` than the deadline at most.
    fn reply(&mut self, more: Duration) -> Result<Reply>;
}

/// The way to a rank that is a thread.
pub struct Worker {
    rank: usize,
    commands: Option<Sender<Command>>,
    replies: Receiver<Reply>,
    fate: Arc<Fate>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts rank number `rank`, which loads its part at once and replies with what that was.
    pub fn start(
        rank: usize,
        team: Team,
        fate: &Arc<Fate>,
        load: impl FnOnce() -> Result<Rank> + Send + 'static,
    ) -> Result<Self> {
        let (commands, to_do) = mpsc::channel();
        let (done, replies) = mpsc::channel();
        let shared = Arc::clone(fate);
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
        let (commands, fate) = (Some(commands), Arc::clone(fate));
        Ok(Self { rank, commands, replies, fate, thread: Some(thread) })
    }
}

/// Loads a rank, then does what it is told until nobody is left to tell it anything.
fn serve(
    number: usize,
    load: impl FnOnce() -> Result<Rank>,
    to_do: &Receiver<Command>,
    done: &Sender<Reply>,
    fate: &Fate,
) {
    let loaded = load();
    let _ = done.send(Rank::load_reply(&loaded));
    let Ok(mut rank) = loaded else { return };
    while let Ok(command) = to_do.recv() {
        let result = rank.execute(&command);
        if let Command::Pass(_) = command {
            // Nobody waits for a reply to this: the ranks meet in their groups instead.
            if let Err(error) = result {
                fate.fail(number, error.to_string());
            }
        } else {
            let _ = done.send(Reply::of(result));
        }
    }
}

impl Link for Worker {
    fn is_thread(&self) -> bool {
        true
    }

    fn tell(&mut self, command: &Command) -> Result<()> {
        self.fate.check()?;
        let sent = self.commands.as_ref().and_then(|way| way.send(command.clone()).ok());
        sent.ok_or_else(|| self.ended())
    }

    fn reply(&mut self, more: Duration) -> Result<Reply> {
        let began = Instant::now();
        loop {
            match self.replies.recv_timeout(LOOK) {
                Ok(reply) => return reply.of_rank(self.rank),
                Err(RecvTimeoutError::Timeout) => self.fate.waiting(self.rank, began, more)?,
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            }
        }
    }
}

impl Worker {
    fn ended(&self) -> Error {
        self.fate.fail(self.rank, "its thread ended");
        match self.fate.check() {
            Err(error) => error,
            Ok(()) => Error::Rank { rank: self.rank, reason: "its thread ended".to_owned() },
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.commands = None;
        // One that hangs is left behind, to end with the process.
        if self.fate.check().is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(load: impl FnOnce() -> Result<Rank> + Send + 'static) -> String {
        let fate = Arc::new(Fate::new(Duration::from_millis(200)));
        let mut worker = Worker::start(3, Team::Alone, &fate, load).expect("a thread");
        let error = worker.reply(Duration::ZERO).expect_err("it failed");
        assert!(worker.tell(&Command::Synchronize).is_err(), "the model is lost");
        error.to_string()
    }

    #[test]
    fn a_thread_that_panics_or_hangs_is_named() {
        assert!(failure(|| panic!("as it should")).starts_with("rank 3 failed: it panicked"));
        let hung = failure(|| {
            thread::sleep(Duration::from_secs(2));
            Err(Error::Unsupported("too late".to_owned()))
        });
        assert!(hung.starts_with("rank 3 failed: others waited for it"), "{hung}");
    }

    #[test]
    fn what_is_wrong_with_the_input_is_told_as_it_is() {
        assert_eq!(failure_of_input(), "a bad file");
    }

    fn failure_of_input() -> String {
        let fate = Arc::new(Fate::new(Duration::from_secs(5)));
        let load = || Err(Error::Invalid("a bad file".to_owned()));
        let mut worker = Worker::start(1, Team::Alone, &fate, load).expect("a thread");
        worker.reply(Duration::ZERO).expect_err("it failed").to_string()
    }
}
