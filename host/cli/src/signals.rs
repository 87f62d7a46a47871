//! Ctrl-C and termination: the first ends the run in good order, the second ends the program, and so does the first once
//! the run is over.

use crate::exit::INTERRUPTED;
use llem_runtime::{Stop, StopReason};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

/// Who watches for signals until the program ends.
pub struct Signals {
    /// Whether there is nothing left that a signal could end in good order.
    is_over: Arc<AtomicBool>,
}

impl Signals {
    /// Watches on a thread of its own, so that a signal is obeyed whatever the rest of the program does.
    pub fn watch(stop: Arc<Stop>) -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
        let [mut interrupt, mut terminate] = {
            let _entered = runtime.enter();
            [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?]
        };
        let is_over = Arc::new(AtomicBool::new(false));
        let program_ends = Arc::clone(&is_over);
        let watch = async move {
            let mut is_second = false;
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if is_second || program_ends.load(Ordering::Relaxed) {
                    std::process::exit(INTERRUPTED.into());
                }
                stop.request(StopReason::Interrupted);
                is_second = true;
                // On a thread of its own, for a terminal that nobody reads must not keep a second signal from being obeyed.
                thread::spawn(|| eprintln!("stopping; once more to stop at once"));
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(watch))?;
        Ok(Self { is_over })
    }

    /// From here on a signal ends the program: the run is over, and what it measured is written.
    pub fn end_the_program(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
