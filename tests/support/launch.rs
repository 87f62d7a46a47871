//! Several processes of the binary that run as the ranks of one launch.

use super::{CommandOutput, TestContext, signal};
use std::{
    net::TcpListener,
    ops::Range,
    process::{Child, Stdio},
    sync::atomic::{AtomicU16, Ordering},
};

/// The processes of one launch, rank 0 first.
pub struct Launch(pub Vec<Child>);

/// Returns a port that no other launch of these tests uses, below the range from which systems choose free ports.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + (std::process::id() % 1000) as u16 * 20;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

impl Launch {
    /// Starts `size` ranks of the same command, with the variables that torchrun sets.
    pub fn start(context: &TestContext, args: &[&str], size: usize) -> Self {
        Self::start_with(context, args, size, &[])
    }

    /// Starts `size` ranks of the same command, with further variables.
    pub fn start_with(
        context: &TestContext,
        args: &[&str],
        size: usize,
        more: &[(&str, &str)],
    ) -> Self {
        Self::start_some(context, args, size, 0..size, more)
    }

    /// Starts only some ranks of a launch of `size`.
    pub fn start_some(
        context: &TestContext,
        args: &[&str],
        size: usize,
        ranks: Range<usize>,
        more: &[(&str, &str)],
    ) -> Self {
        let port = free_port();
        let start = |rank: usize| {
            let mut command = context.command(args);
            command.env("RANK", rank.to_string()).env("WORLD_SIZE", size.to_string());
            command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
            command.envs(more.iter().copied());
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        Self(ranks.map(start).collect())
    }

    /// Sends a signal to a rank.
    pub fn signal(&self, rank: usize, name: &str) {
        signal(&self.0[rank], name);
    }

    /// Waits for all ranks.
    pub fn end(self) -> Vec<CommandOutput> {
        let ended = self.0.into_iter().map(|child| child.wait_with_output().unwrap());
        ended.map(CommandOutput::from_output).collect()
    }
}
