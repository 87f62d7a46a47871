//! Handles Ctrl-C and termination signals. The first one stops the run in good order, and the second one ends the
//! program. Once the run is over, the first one ends the program too.

use crate::{
    exit::INTERRUPTED,
    watch::{ProgramLog, restore_terminal},
};
use llem_runtime::{StopReason, StopSignal};
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

/// Watches for signals until the program ends.
pub(crate) struct Signals {
    /// Whether the run is over, so that a signal ends the program at once.
    is_over: Arc<AtomicBool>,
}

impl Signals {
    /// Watches on a thread of its own, so that a signal is handled whatever the rest of the program does.
    pub(crate) fn watch(stop: Arc<StopSignal>) -> io::Result<Self> {
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
                    restore_terminal();
                    std::process::exit(INTERRUPTED.into());
                }
                stop.request(StopReason::Interrupted);
                is_second = true;
                // Printed on another thread, because a terminal that nobody reads must not block the handling of a
                // second signal.
                thread::spawn(|| ProgramLog::say("stopping; once more to stop at once"));
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(watch))?;
        Ok(Self { is_over })
    }

    /// From now on a signal ends the program, because the run is over and its measurements are written.
    pub(crate) fn end_the_program(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}
