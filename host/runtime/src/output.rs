//! The output of a run: to the journal and to observers.

use crate::{
    error::{Halt, shorten},
    last_error::LastError,
};
use llem_meter::Clock;
use llem_record::{Event, Recorder, RunRecord, RunStatus};
use std::{
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The most warnings about a model's files that are written one by one.
const MOST_WARNINGS: usize = 20;

/// The most characters of such a warning.
const LONGEST_WARNING: usize = 1_000;

/// Observes a run while it goes on, such as a console does. Every method does nothing by default.
pub trait Observer: Send + Sync {
    /// An event was written to the journal.
    fn event(&self, _event: &Event) {}
    /// The script reports its progress. `total` is 0 if it is unknown.
    fn progress(&self, _done: u64, _total: u64, _label: &str) {}
    /// The samples of all devices over about the last second.
    fn samples(&self, _samples: &[llem_meter::Sample]) {}
    /// A request begins that generates at most `most` tokens. Called on the engine's thread before the request is
    /// measured.
    fn request(&self, _label: &str, _most: u64) {}
    /// The request has generated this many tokens. Called on the engine's thread between two tokens, so it must not
    /// allocate, wait for a lock, or write.
    fn tokens(&self, _generated: u64) {}
}

/// Passes every event to all observers, in order.
impl Observer for Vec<Box<dyn Observer>> {
    fn event(&self, event: &Event) {
        self.iter().for_each(|observer| observer.event(event));
    }

    fn progress(&self, done: u64, total: u64, label: &str) {
        self.iter().for_each(|observer| observer.progress(done, total, label));
    }

    fn samples(&self, samples: &[llem_meter::Sample]) {
        self.iter().for_each(|observer| observer.samples(samples));
    }

    fn request(&self, label: &str, most: u64) {
        self.iter().for_each(|observer| observer.request(label, most));
    }

    fn tokens(&self, generated: u64) {
        self.iter().for_each(|observer| observer.tokens(generated));
    }
}

/// The most lines that components may write before there is a record. They are stored in memory.
const EARLY_LINES: usize = 1000;

/// The output of a run, which all its writers share.
pub(crate) struct Output {
    clock: Clock,
    /// `None` until the run begins.
    recorder: Mutex<Option<Recorder>>,
    /// Events from before the record began, with their times in nanoseconds.
    early: Mutex<Vec<(u64, Event)>>,
    /// The last error that the script reported, since its last successful call.
    last_error: Mutex<LastError>,
    observer: Box<dyn Observer>,
    /// The number of bytes that may still be written.
    budget: AtomicU64,
    limit: u64,
}

impl Output {
    /// Creates an output that accepts `limit` bytes from the script.
    pub(crate) fn new(clock: Clock, observer: Box<dyn Observer>, limit: u64) -> Self {
        Self {
            clock,
            recorder: Mutex::default(),
            early: Mutex::default(),
            last_error: Mutex::default(),
            observer,
            budget: AtomicU64::new(limit),
            limit,
        }
    }

    /// Sends events to this record from now on. Events from before become its first lines.
    pub(crate) fn record_to(&self, mut recorder: Recorder) -> Result<(), llem_record::Error> {
        self.observer.event(recorder.started());
        let early = std::mem::take(&mut *self.early());
        early
            .into_iter()
            .try_for_each(|(t_ns, event)| recorder.append(t_ns, event, u64::MAX).map(drop))?;
        *self.lock() = Some(recorder);
        Ok(())
    }

    /// The run's folder, or `None` before the record began.
    pub(crate) fn folder(&self) -> Option<PathBuf> {
        self.lock().as_ref().map(|recorder| recorder.folder().to_path_buf())
    }

    /// Writes an event of the script. Ends the script if it has used up its budget.
    pub(crate) fn write_script_event(&self, event: Event) -> wasmtime::Result<()> {
        self.check_budget()?;
        self.append(event, self.budget.load(Ordering::Relaxed))
    }

    /// Writes a measurement or an event of the host. It counts against the budget but is never refused, because the
    /// work is already done. [`Output::check_budget`] is called before the work.
    pub(crate) fn write_host_event(&self, event: Event) -> wasmtime::Result<()> {
        self.append(event, u64::MAX)
    }

    /// Writes warnings about the files of a model or adapter, whose settings have no effect here. A file may cause any
    /// number of them, so only the first ones are written one by one.
    pub(crate) fn warn_of_files(&self, source: &str, warnings: &[String]) -> wasmtime::Result<()> {
        for warning in warnings.iter().take(MOST_WARNINGS) {
            let message = shorten(format!("{source}: {warning}"), LONGEST_WARNING);
            self.write_host_event(Event::Warning { message })?;
        }
        match warnings.len().saturating_sub(MOST_WARNINGS) {
            0 => Ok(()),
            more => self.write_host_event(Event::Warning {
                message: format!("{source}: and {more} more like these"),
            }),
        }
    }

    /// Ends a script that has used up its budget.
    pub(crate) fn check_budget(&self) -> wasmtime::Result<()> {
        match self.budget.load(Ordering::Relaxed) {
            0 => Err(self.budget_error()),
            _ => Ok(()),
        }
    }

    /// Appends an event whose line has at most `most` bytes. It goes to the record, or to the early events if there is
    /// no record yet.
    fn append(&self, event: Event, most: u64) -> wasmtime::Result<()> {
        self.observer.event(&event);
        if let Event::Log { level, message } = &event {
            self.last_error().note(level, message);
        }
        match self.lock().as_mut() {
            Some(recorder) => match recorder.append(self.clock.now(), event, most) {
                Ok(bytes) => {
                    self.charge(bytes);
                    Ok(())
                }
                Err(error) if error.is_too_long() => {
                    self.charge(most);
                    Err(self.budget_error())
                }
                Err(error) => Err(Halt::Record(error.to_string()).trap()),
            },
            None => self.store_early(event),
        }
    }

    fn store_early(&self, event: Event) -> wasmtime::Result<()> {
        let mut early = self.early();
        if early.len() == EARLY_LINES {
            let reason =
                format!("it wrote more than {EARLY_LINES} lines before its run; write them in run");
            return Err(Halt::Limit(reason).trap());
        }
        if let Event::Log { message, .. } | Event::ScriptWarning { message } = &event {
            self.charge(message.len() as u64);
        }
        early.push((self.clock.now(), event));
        Ok(())
    }

    /// Takes bytes from the budget.
    fn charge(&self, bytes: u64) {
        let rest = |left: u64| Some(left.saturating_sub(bytes));
        let _ = self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
    }

    fn budget_error(&self) -> wasmtime::Error {
        Halt::Limit(format!(
            "it wrote more than {} MiB into the record; --max-output raises the limit",
            self.limit >> 20
        ))
        .trap()
    }

    /// Writes a file of the script, and returns its path within the run's folder. The inner error means that the name
    /// is taken.
    pub(crate) fn write_artifact(
        &self,
        name: &str,
        content: &[u8],
    ) -> wasmtime::Result<Result<String, llem_record::Error>> {
        if content.len() as u64 > self.budget.load(Ordering::Relaxed) {
            return Err(self.budget_error());
        }
        let written = match self.lock().as_ref() {
            Some(recorder) => recorder.write_artifact(name, content),
            None => Ok((String::new(), 0)),
        };
        match written {
            Ok((path, bytes)) => {
                self.charge(bytes);
                Ok(Ok(path))
            }
            Err(error) if error.is_input() => Ok(Err(error)),
            Err(error) => Err(Halt::Record(error.to_string()).trap()),
        }
    }

    pub(crate) fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    /// Ends the record and returns it, or `None` if there was no record.
    pub(crate) fn finish(
        &self,
        status: RunStatus,
        error: Option<String>,
    ) -> Result<Option<RunRecord>, llem_record::Error> {
        let Some(recorder) = self.lock().take() else { return Ok(None) };
        let finished = recorder.finish(self.clock.now(), status, error.clone());
        // Observers come last, because they may wait for something else, such as a terminal.
        self.observer.event(&Event::Ended { status, error });
        finished.map(Some)
    }

    /// Returns the last error that the script reported, and forgets it.
    pub(crate) fn take_last_error(&self) -> LastError {
        std::mem::take(&mut *self.last_error())
    }

    fn last_error(&self) -> std::sync::MutexGuard<'_, LastError> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn early(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Event)>> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Recorder>> {
        // A panic elsewhere does not make the record less useful.
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
