//! Ctrl-C and termination: the first ends the run in good order, the second ends the program.

use llem_runtime::{Stop, StopReason};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Exit code of a program that a signal ended (128 + SIGINT).
const INTERRUPTED: i32 = 130;

/// Watches for signals on the current runtime until the program ends.
pub fn watch(stop: Arc<Stop>) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if stop.is_requested() {
                std::process::exit(INTERRUPTED);
            }
            stop.request(StopReason::Interrupted);
            // On a thread of its own, for a terminal that nobody reads must not keep the run from ending.
            std::thread::spawn(|| eprintln!("stopping; once more to stop at once"));
        }
    });
    Ok(())
}
