//! The phases of a run: named and nested.

use crate::{error::Halt, output::Output};
use llem_meter::Clock;
use llem_record::Event;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Phases that may be open within one another. A line of the journal holds the names of all that are open.
const DEPTH: usize = 64;

/// The open phases of a run.
pub struct Phases {
    clock: Clock,
    output: Arc<Output>,
    /// Outermost first: name and beginning, ns on the run's clock.
    open: Mutex<Vec<(String, u64)>>,
}

/// A phase that a script has open, by its depth among the open ones.
pub struct OpenPhase {
    /// 0 of the outermost.
    pub depth: usize,
}

impl Phases {
    /// No phase is open.
    pub fn new(clock: Clock, output: &Arc<Output>) -> Self {
        Self { clock, output: Arc::clone(output), open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, Vec<(String, u64)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open phases, joined by `/`.
    pub fn path(&self) -> String {
        joined(&self.open())
    }

    /// Begins a phase within the open ones and returns its depth.
    pub fn begin(&self, name: String) -> wasmtime::Result<usize> {
        let (depth, phase) = {
            let mut open = self.open();
            if open.len() == DEPTH {
                let reason = format!("it opened more than {DEPTH} phases within one another");
                return Err(Halt::Limit(reason).trap());
            }
            open.push((name, self.clock.now()));
            (open.len() - 1, joined(&open))
        };
        self.output.write(Event::PhaseBegan { phase })?;
        Ok(depth)
    }

    /// Ends the phase at `depth` and all within it, the innermost first.
    pub fn end(&self, depth: usize) -> wasmtime::Result<()> {
        loop {
            let ended = {
                let mut open = self.open();
                let phase = joined(&open);
                if open.len() > depth { open.pop().map(|(_, began)| (phase, began)) } else { None }
            };
            let Some((phase, began)) = ended else { return Ok(()) };
            self.output.keep(Event::PhaseEnded { phase, wall_ns: self.clock.now() - began })?;
        }
    }
}

fn joined(open: &[(String, u64)]) -> String {
    open.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join("/")
}
