//! The phases of a run, which are named and nested.

use crate::{error::Halt, output::Output};
use llem_meter::Clock;
use llem_record::Event;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most phases that may be open within one another. Each line of the journal contains the names of all that are
/// open.
const DEPTH: usize = 64;

pub(crate) struct PhaseStack {
    clock: Clock,
    output: Arc<Output>,
    /// The name and the beginning of each phase, in nanoseconds on the run's clock, outermost first.
    open: Mutex<Vec<(String, u64)>>,
}

/// A phase that a script has open.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct OpenPhase {
    /// The number of phases around it: 0 for the outermost.
    pub depth: usize,
}

impl PhaseStack {
    /// Creates a stack without open phases.
    pub(crate) fn new(clock: Clock, output: &Arc<Output>) -> Self {
        Self { clock, output: Arc::clone(output), open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, Vec<(String, u64)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of the open phases, joined by `/`.
    pub(crate) fn path(&self) -> String {
        joined(&self.open())
    }

    /// Begins a phase within the open ones, and returns its depth.
    pub(crate) fn begin(&self, name: String) -> wasmtime::Result<usize> {
        let (depth, phase) = {
            let mut open = self.open();
            if open.len() == DEPTH {
                let reason = format!("it opened more than {DEPTH} phases within one another");
                return Err(Halt::Limit(reason).trap());
            }
            open.push((name, self.clock.now()));
            (open.len() - 1, joined(&open))
        };
        self.output.write_script_event(Event::PhaseBegan { phase })?;
        Ok(depth)
    }

    /// Ends the phase at `depth` and all phases within it, innermost first.
    pub(crate) fn end(&self, depth: usize) -> wasmtime::Result<()> {
        loop {
            let ended = {
                let mut open = self.open();
                let phase = joined(&open);
                if open.len() > depth { open.pop().map(|(_, began)| (phase, began)) } else { None }
            };
            let Some((phase, began)) = ended else { return Ok(()) };
            self.output
                .write_host_event(Event::PhaseEnded { phase, wall_ns: self.clock.now() - began })?;
        }
    }
}

fn joined(open: &[(String, u64)]) -> String {
    open.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join("/")
}
