//! What a component may use. A guest's loop or hunger ends the run, never the host.

use crate::{
    error::Halt,
    stop::{Stop, StopReason},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use wasmtime::ResourceLimiter;

/// Time between two epoch ticks: how soon guest code notices that it is to stop.
const TICK: Duration = Duration::from_millis(10);

/// Entries of a component's tables (indirect calls); far more than any compiler emits.
const TABLE_ENTRIES: usize = 1_000_000;

/// Limits of a run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Wall-clock time of the whole run.
    pub deadline: Duration,
    /// Bytes of all linear memories of a component together.
    pub memory: usize,
    /// Live host resources (models, windows, phases, datasets).
    pub resources: usize,
    /// Models that a component may hold at a time.
    pub models: usize,
    /// Bytes that a script may have written: lines of the journal, and artifacts.
    pub output: u64,
    /// Bytes that a component may hand to the host in one call.
    pub call: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(24 * 3600),
            memory: 1 << 30,
            resources: 10_000,
            models: 16,
            output: 100 << 20,
            call: 64 << 20,
        }
    }
}

impl Limits {
    /// For the run record.
    pub fn record(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([
            ("deadline_s".to_owned(), self.deadline.as_secs()),
            ("memory_bytes".to_owned(), self.memory as u64),
            ("resources".to_owned(), self.resources as u64),
            ("models".to_owned(), self.models as u64),
            ("output_bytes".to_owned(), self.output),
            ("call_bytes".to_owned(), self.call as u64),
        ])
    }
}

/// Holds a component to its memory and table limits.
pub struct Limiter {
    memory: usize,
    used: usize,
}

impl Limiter {
    /// A limiter for one component instance.
    pub fn new(limits: &Limits) -> Self {
        Self { memory: limits.memory, used: 0 }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.used - current.min(self.used) + desired;
        if total > self.memory {
            let mebibytes = |bytes: usize| bytes.div_ceil(1 << 20);
            return Err(Halt::Limit(format!(
                "it asked for {} MiB of memory and the limit is {} MiB; --max-memory raises it",
                mebibytes(total),
                mebibytes(self.memory)
            ))
            .trap());
        }
        self.used = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > TABLE_ENTRIES {
            let reason = format!(
                "it asked for a table of {desired} entries and the limit is {TABLE_ENTRIES}"
            );
            return Err(Halt::Limit(reason).trap());
        }
        Ok(true)
    }
}

/// Ticks a wasmtime engine's epoch and watches the deadline until it is dropped.
pub struct Watchdog {
    ended: Arc<AtomicBool>,
}

impl Watchdog {
    /// Starts the thread. The deadline counts from now.
    pub fn start(engine: &wasmtime::Engine, stop: Arc<Stop>, deadline: Duration) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let (engine, mine) = (engine.weak(), Arc::clone(&ended));
        let started = Instant::now();
        thread::spawn(move || {
            while !mine.load(Ordering::Relaxed) {
                thread::sleep(TICK);
                if started.elapsed() > deadline {
                    stop.request(StopReason::Deadline(deadline));
                }
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => return,
                }
            }
        });
        Self { ended }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}
