//! Limits what a component may use. A guest that loops or takes too much memory ends its run, never the host.

use crate::{
    error::Halt,
    stop_signal::{StopReason, StopSignal},
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

/// The time between two epoch ticks, after which guest code notices that it is to stop.
const TICK: Duration = Duration::from_millis(10);

/// Bytes of an entry of a table, which is a pointer.
const TABLE_ENTRY: usize = size_of::<usize>();

/// The most core instances, the most tables and the most memories of a component. Compilers emit far fewer.
const PARTS: usize = 1_000;

/// The limits of a run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Wall-clock time of the whole run.
    pub deadline: Duration,
    /// Bytes of all linear memories and tables of a component together.
    pub memory: usize,
    /// Host resources that are alive at a time (models, windows, phases, datasets).
    pub resources: usize,
    /// Bytes that may be written into the run's folder: lines of the journal, and artifacts.
    pub output: u64,
    /// Models that are loaded at a time.
    pub models: usize,
    /// Bytes that one call may pass to the host, and bytes that sequences which wait in a batch may take.
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
    /// Converts an error that ended a guest into one that names the exceeded limit, if wasmtime enforces that limit.
    pub(crate) fn explain_limit(&self, error: wasmtime::Error) -> wasmtime::Error {
        let reason = match WasmtimeLimit::from_error(&error) {
            Some(WasmtimeLimit::Resources) => format!(
                "it holds more than {} host resources at a time; --max-resources raises the limit",
                self.resources
            ),
            Some(WasmtimeLimit::CallBytes) => format!(
                "it handed over more than {} MiB in one call; --max-call raises the limit",
                self.call >> 20
            ),
            Some(WasmtimeLimit::CoreParts) => format!(
                "it has more than {PARTS} core instances, memories or tables: make it of fewer"
            ),
            None => return error,
        };
        Halt::Limit(reason).trap()
    }

    /// The limits for the run record.
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

/// A limit that wasmtime enforces, and that a guest has exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WasmtimeLimit {
    /// [`Limits::resources`].
    Resources,
    /// [`Limits::call`].
    CallBytes,
    /// [`PARTS`].
    CoreParts,
}

impl WasmtimeLimit {
    /// Returns the limit that an error is about. wasmtime 48 has a public type only for the resource table, so the other
    /// limits are recognised by its messages.
    fn from_error(error: &wasmtime::Error) -> Option<Self> {
        if let Some(ResourceTableError::Full) = error.downcast_ref() {
            return Some(Self::Resources);
        }
        let messages = [
            ("store handle limit exceeded", Self::Resources),
            ("fuel allocated for hostcalls", Self::CallBytes),
            ("count too high", Self::CoreParts),
        ];
        let cause = error.root_cause().to_string();
        messages.into_iter().find(|(words, _)| cause.contains(words)).map(|(_, limit)| limit)
    }
}

/// Enforces the limit on a component's memory, which includes its tables.
pub(crate) struct Limiter {
    memory: usize,
    used: usize,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
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

/// Increments a wasmtime engine's epoch and watches the deadline, until it is dropped.
pub(crate) struct Watchdog {
    ended: Arc<AtomicBool>,
}

impl Watchdog {
    /// Starts the thread. The deadline counts from now.
    pub(crate) fn start(
        engine: &wasmtime::Engine,
        stop: Arc<StopSignal>,
        deadline: Duration,
    ) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::{Engine, Instance, Module, Store};

    #[test]
    fn memory_and_tables_share_one_limit() {
        let mut limiter = Limiter::new(&Limits { memory: 1 << 20, ..Limits::default() });
        assert!(limiter.memory_growing(0, 1 << 19, None).is_ok());
        assert!(limiter.table_growing(0, (1 << 19) / TABLE_ENTRY, None).is_ok());
        let refused = limiter.memory_growing(1 << 19, (1 << 19) + 1, None).expect_err("it is full");
        let expected =
            "it asked for 2 MiB of memory and the limit is 1 MiB; --max-memory raises it";
        assert_eq!(refused.to_string(), expected);
    }

    #[test]
    fn shrunk_memory_can_be_used_again() {
        let mut limiter = Limiter::new(&Limits { memory: 100, ..Limits::default() });
        assert!(limiter.memory_growing(0, 100, None).is_ok());
        assert!(limiter.memory_growing(100, 40, None).is_ok());
        assert!(limiter.memory_growing(0, 60, None).is_ok());
        assert!(limiter.memory_growing(0, 1, None).is_err());
    }

    #[test]
    fn too_many_memories_are_recognised() {
        let engine = Engine::default();
        let limiter = Limiter::new(&Limits::default());
        let mut store = Store::new(&engine, limiter);
        store.limiter(|limiter| limiter);
        let module = wat::parse_str("(module (memory 0))").expect("a module");
        let module = Module::new(&engine, module).expect("a module");
        let mut instantiate = || Instance::new(&mut store, &module, &[]);
        let error = (0..=PARTS).find_map(|_| instantiate().err()).expect("the limit is exceeded");
        assert_eq!(WasmtimeLimit::from_error(&error), Some(WasmtimeLimit::CoreParts));
        let explained = Limits::default().explain_limit(error).to_string();
        assert!(explained.contains("more than 1000 core instances"), "{explained}");
    }

    #[test]
    fn an_error_about_something_else_stays_as_it_is() {
        let error = wasmtime::Error::msg("something else");
        assert_eq!(Limits::default().explain_limit(error).to_string(), "something else");
    }

    #[test]
    fn the_record_has_every_limit() {
        let Limits { deadline, memory, resources, output, models, call } = Limits::default();
        let record = Limits::default().record();
        assert_eq!(record["deadline_s"], deadline.as_secs());
        assert_eq!(record["memory_bytes"], memory as u64);
        assert_eq!(record["resources"], resources as u64);
        assert_eq!(record["output_bytes"], output);
        assert_eq!(record["models"], models as u64);
        assert_eq!(record["call_bytes"], call as u64);
    }
}
