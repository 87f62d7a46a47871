//! What leaves a run: to the journal, and to whoever watches.

use crate::{
    error::{Halt, short},
    last_words::LastWords,
};
use llem_meter::Clock;
use llem_record::{Event, Recorder, RunRecord, Status};
use std::{
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Warnings of a model's files that are told one by one.
const MOST_WARNINGS: usize = 20;

/// Characters of one.
const LONGEST_WARNING: usize = 1_000;

/// Watches a run while it goes on: a console, or nobody.
pub trait Observer: Send + Sync {
    /// Something was written to the journal.
    fn event(&self, _event: &Event) {}
    /// The script says how far it is; `total` of 0 means unknown.
    fn progress(&self, _done: u64, _total: u64, _label: &str) {}
    /// What a sampler has read of the devices in about a second.
    fn samples(&self, _samples: &[llem_meter::Sample]) {}
    /// A request begins, which generates at most `most` tokens. Called on the engine's thread, before it is measured.
    fn request(&self, _label: &str, _most: u64) {}
    /// The request has generated this many tokens. Called on the engine's thread between two tokens: it may store a
    /// number, but neither allocate, nor wait for a lock, nor write.
    fn tokens(&self, _generated: u64) {}
}

/// Everybody sees everything, in order.
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

/// Lines that components may write before there is a record, all of which are kept in memory.
const EARLY_LINES: usize = 1000;

/// The way out of a run, shared by all that write to it.
pub struct Output {
    clock: Clock,
    /// None until the run begins.
    recorder: Mutex<Option<Recorder>>,
    /// What was said before there was a record, and when.
    early: Mutex<Vec<(u64, Event)>>,
    /// What the script said last, since it last went on.
    last_words: Mutex<LastWords>,
    observer: Box<dyn Observer>,
    /// Bytes that may still be written.
    budget: AtomicU64,
    limit: u64,
}

impl Output {
    /// An output that may take `limit` bytes from the script.
    pub fn new(clock: Clock, observer: Box<dyn Observer>, limit: u64) -> Self {
        Self {
            clock,
            recorder: Mutex::default(),
            early: Mutex::default(),
            last_words: Mutex::default(),
            observer,
            budget: AtomicU64::new(limit),
            limit,
        }
    }

    /// From here on events go to this record, which has begun. What was said before is its first lines.
    pub fn record_to(&self, mut recorder: Recorder) -> Result<(), llem_record::Error> {
        self.observer.event(recorder.started());
        let early = std::mem::take(&mut *self.early());
        early
            .into_iter()
            .try_for_each(|(t_ns, event)| recorder.append(t_ns, event, u64::MAX).map(drop))?;
        *self.lock() = Some(recorder);
        Ok(())
    }

    /// The run's folder, once a run has begun.
    pub fn folder(&self) -> Option<PathBuf> {
        self.lock().as_ref().map(|recorder| recorder.folder().to_path_buf())
    }

    /// Writes what a script says, which is refused once it has written all that it may.
    pub fn write(&self, event: Event) -> wasmtime::Result<()> {
        self.afford()?;
        self.append(event, self.budget.load(Ordering::Relaxed))
    }

    /// Writes what was measured, or what the host itself says: it counts like the rest, but is never refused, for it is
    /// known only once the work is done. [`Output::afford`] is asked before.
    pub fn keep(&self, event: Event) -> wasmtime::Result<()> {
        self.append(event, u64::MAX)
    }

    /// Writes what the files of a model or an adapter say that has no effect here. They may say any number of such
    /// things, of which the first are told.
    pub fn warn_of_files(&self, source: &str, warnings: &[String]) -> wasmtime::Result<()> {
        for warning in warnings.iter().take(MOST_WARNINGS) {
            let message = short(format!("{source}: {warning}"), LONGEST_WARNING);
            self.keep(Event::Warning { message })?;
        }
        match warnings.len().saturating_sub(MOST_WARNINGS) {
            0 => Ok(()),
            more => self
                .keep(Event::Warning { message: format!("{source}: and {more} more like these") }),
        }
    }

    /// Ends a script that has written all that it may.
    pub fn afford(&self) -> wasmtime::Result<()> {
        match self.budget.load(Ordering::Relaxed) {
            0 => Err(self.exceeded()),
            _ => Ok(()),
        }
    }

    /// Appends an event whose line has at most so many bytes: to the record, or to what will be its first lines where
    /// there is none yet.
    fn append(&self, event: Event, most: u64) -> wasmtime::Result<()> {
        self.observer.event(&event);
        if let Event::Log { level, message } = &event {
            self.last_words().heard(level, message);
        }
        match self.lock().as_mut() {
            Some(recorder) => match recorder.append(self.clock.now(), event, most) {
                Ok(bytes) => {
                    self.charge(bytes);
                    Ok(())
                }
                Err(error) if error.is_too_long() => {
                    self.charge(most);
                    Err(self.exceeded())
                }
                Err(error) => Err(Halt::Record(error.to_string()).trap()),
            },
            None => self.keep_for_record(event),
        }
    }

    fn keep_for_record(&self, event: Event) -> wasmtime::Result<()> {
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

    /// Counts what was written.
    fn charge(&self, bytes: u64) {
        let rest = |left: u64| Some(left.saturating_sub(bytes));
        let _ = self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, rest);
    }

    fn exceeded(&self) -> wasmtime::Error {
        Halt::Limit(format!(
            "it wrote more than {} MiB into the record; --max-output raises the limit",
            self.limit >> 20
        ))
        .trap()
    }

    /// Writes a file of the script, whose path within the run's folder is returned. One whose name is taken is
    /// refused.
    pub fn artifact(&self, name: &str, content: &[u8]) -> wasmtime::Result<Result<String, String>> {
        if content.len() as u64 > self.budget.load(Ordering::Relaxed) {
            return Err(self.exceeded());
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
            Err(error) if error.is_input() => Ok(Err(error.to_string())),
            Err(error) => Err(Halt::Record(error.to_string()).trap()),
        }
    }

    /// Whoever watches.
    pub fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    /// Ends the record. None where there was none.
    pub fn finish(
        &self,
        status: Status,
        error: Option<String>,
    ) -> Result<Option<RunRecord>, llem_record::Error> {
        let Some(recorder) = self.lock().take() else { return Ok(None) };
        let finished = recorder.finish(self.clock.now(), status, error.clone());
        // Afterwards, for who watches may have to wait for somebody else.
        self.observer.event(&Event::Ended { status, error });
        finished.map(Some)
    }

    /// What the script said last, which is then forgotten.
    pub fn take_last_words(&self) -> LastWords {
        std::mem::take(&mut *self.last_words())
    }

    fn last_words(&self) -> std::sync::MutexGuard<'_, LastWords> {
        self.last_words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn early(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Event)>> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Recorder>> {
        // A panic elsewhere does not make the record less worth writing.
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
