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
use wasmtime::{ResourceLimiter, component::ResourceTableError};

/// Time between two epoch ticks: how soon guest code notices that it is to stop.
const TICK: Duration = Duration::from_millis(10);

/// Bytes of a table's entry: a pointer.
const TABLE_ENTRY: usize = size_of::<usize>();

/// Core instances, tables and memories of a component, of each; far more than any compiler emits.
const PARTS: usize = 1_000;

/// Limits of a run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Wall-clock time of the whole run.
    pub deadline: Duration,
    /// Bytes of all linear memories and tables of a component together.
    pub memory: usize,
    /// Live host resources (models, windows, phases, datasets).
    pub resources: usize,
    /// Bytes that may be written into the run's folder: lines of the journal, and artifacts.
    pub output: u64,
    /// Models that are held at a time.
    pub models: usize,
    /// Bytes that one call may hand to the host, and those that sequences which wait in a batch may take.
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
    /// An error that ended a guest, which names the limit if it is one of those that wasmtime holds a guest to.
    pub fn named(&self, error: wasmtime::Error) -> wasmtime::Error {
        let is_full = matches!(error.downcast_ref(), Some(ResourceTableError::Full));
        // wasmtime has no public types of the others.
        let cause = error.root_cause().to_string();
        let has = |words: &str| cause.contains(words);
        let reason = if is_full || has("store handle limit exceeded") {
            let most = self.resources;
            format!(
                "it holds more than {most} host resources at a time; --max-resources raises the limit"
            )
        } else if has("fuel allocated for hostcalls") {
            let most = self.call >> 20;
            format!("it handed over more than {most} MiB in one call; --max-call raises the limit")
        } else if has("count too high") {
            format!("it has more than {PARTS} core instances, memories or tables: make it of fewer")
        } else {
            return error;
        };
        Halt::Limit(reason).trap()
    }

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

/// Holds a component to its memory, of which its tables are part.
pub struct Limiter {
    memory: usize,
    used: usize,
}

impl Limiter {
    /// A limiter for one component instance.
    pub fn new(limits: &Limits) -> Self {
        Self { memory: limits.memory, used: 0 }
    }

    fn grow(&mut self, current: usize, desired: usize) -> wasmtime::Result<bool> {
        let total = (self.used - current.min(self.used)).saturating_add(desired);
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
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.grow(current, desired)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = |entries: usize| entries.saturating_mul(TABLE_ENTRY);
        self.grow(bytes(current), bytes(desired))
    }

    fn instances(&self) -> usize {
        PARTS
    }

    fn tables(&self) -> usize {
        PARTS
    }

    fn memories(&self) -> usize {
        PARTS
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
