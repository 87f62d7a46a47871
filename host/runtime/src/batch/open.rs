//! A batch that a script has open: its sequences are recorded as far as they came, whatever becomes of it.

use super::{energy, journal::BatchJournal};
use crate::{
    engine_thread::EngineThread,
    error::{Answer, Refusal},
    measure::Asked,
    run::Run,
};
use llem_engine::{
    Batch, Control, FinishReason,
    batch::{BatchOptions, Ended, Status, Step},
};
use llem_quantity::ReadingRecord;
use llem_record::event::SequenceRecord;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Steps of a drained batch that may wait to be recorded: the engine is far slower than the record.
const STEPS: usize = 256;

/// How long a batch that is dropped waits for a step that is being run, which ends by itself once the run is to end.
const PATIENCE: Duration = Duration::from_millis(500);

/// A sequence that has ended, and what the record keeps of it.
pub type Kept = (Ended, SequenceRecord);

/// A continuous batch. When it is dropped, its sequences end.
pub struct OpenBatch {
    handle: BatchHandle,
    /// What sequences that still run end with then.
    reason: FinishReason,
}

/// The way to a batch.
#[derive(Clone)]
pub struct BatchHandle {
    thread: EngineThread,
    /// Only the engine's thread works on it; the guest's side asks how full it is.
    batch: Arc<Mutex<Batch>>,
    journal: Arc<BatchJournal>,
}

impl OpenBatch {
    /// Opens a batch of a model.
    pub async fn open(run: &Arc<Run>, thread: EngineThread, options: BatchOptions) -> Answer<Self> {
        let asked = options.clone();
        let batch = match thread.call(move |model| Batch::open(model, options)).await? {
            Ok(batch) => batch,
            Err(error) => return Ok(Err(error.into())),
        };
        let journal = BatchJournal::new(run, &thread, &asked);
        let handle = BatchHandle { thread, batch: Arc::new(Mutex::new(batch)), journal };
        Ok(Ok(Self { handle, reason: FinishReason::Interrupted }))
    }

    /// The way to it.
    pub fn handle(&self) -> BatchHandle {
        self.handle.clone()
    }

    /// Closes it because the script wants to; returns its model, which it lets go of.
    pub fn close(mut self) -> EngineThread {
        self.reason = FinishReason::Cancelled;
        self.handle.thread.clone()
    }
}

impl Drop for OpenBatch {
    fn drop(&mut self) {
        let BatchHandle { batch, journal, .. } = &self.handle;
        // The engine may be at work in it if the run was ended: then what the journal has of its sequences is all.
        let until = Instant::now() + PATIENCE;
        let ended = loop {
            match batch.try_lock() {
                Ok(mut batch) => break batch.end_all(self.reason),
                Err(TryLockError::Poisoned(batch)) => {
                    break batch.into_inner().end_all(self.reason);
                }
                Err(TryLockError::WouldBlock) if Instant::now() > until => break Vec::new(),
                Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
            }
        };
        ended.iter().for_each(|ended| drop(journal.ended(ended)));
        journal.closed();
    }
}

fn lock(batch: &Mutex<Batch>) -> MutexGuard<'_, Batch> {
    batch.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BatchHandle {
    /// Submits a request that was handed over now, or that arrived earlier. Returns its sequences' names.
    pub async fn submit(&self, run: &Run, asked: Asked, arrival: Option<u64>) -> Answer<Vec<u64>> {
        // Its clock runs while it is tokenized.
        let handed_over = Instant::now();
        let now = run.clock.at(handed_over);
        if let Some(arrival) = arrival.filter(|&arrival| arrival > now) {
            return Ok(Err(Refusal::InvalidArgument(format!(
                "arrival lies {} ns in the future: submit the request when it has arrived",
                arrival - now
            ))));
        }
        let most = run.settings.limits.call;
        if self.status().waiting_bytes > most {
            return Ok(Err(Refusal::LimitReached(format!(
                "sequences that wait take more than {} MiB: run steps before more are submitted; --max-call raises the limit",
                most >> 20
            ))));
        }
        let Asked { label, request, mut record } = asked;
        let batch = Arc::clone(&self.batch);
        let submit = move |model: &mut _| lock(&batch).submit(model, &request, handed_over, None);
        let submitted = match self.thread.call(submit).await? {
            Ok(submitted) => submitted,
            Err(error) => return Ok(Err(error.into())),
        };
        record.number = run.work.next_request();
        self.journal.submitted(&submitted, &label, arrival.unwrap_or(now), record)?;
        Ok(Ok(submitted.iter().map(|sequence| sequence.name).collect()))
    }

    /// Runs a step, and records it with the sequences that ended with it.
    pub async fn step(&self, run: &Arc<Run>) -> Answer<(Step, Vec<Kept>)> {
        let _working = run.stop.working();
        let (batch, at_work) = (Arc::clone(&self.batch), Arc::clone(run));
        let step = move |model: &mut _| {
            let mut batch = lock(&batch);
            let stop = || at_work.stop.is_requested();
            batch
                .step(model, &stop)
                .map_err(|error| (error, batch.end_all(FinishReason::Interrupted)))
        };
        match self.thread.call(step).await? {
            Ok(mut step) => {
                self.count(run, &step);
                let ended = std::mem::take(&mut step.ended);
                Ok(Ok((step, self.keep(ended))))
            }
            Err((error, cut)) => {
                self.keep(cut);
                run.check_stop()?;
                Ok(Err(error.into()))
            }
        }
    }

    /// Ends a sequence.
    pub async fn cancel(&self, sequence: u64) -> Answer<()> {
        let batch = Arc::clone(&self.batch);
        let cancelled = self.thread.call(move |_| lock(&batch).cancel(sequence)).await?;
        Ok(cancelled.map_err(Into::into))
    }

    /// Runs steps until every sequence has ended. They are recorded here while the engine's thread goes on.
    pub async fn drain(&self, run: &Arc<Run>) -> Answer<Vec<Kept>> {
        let _working = run.stop.working();
        let (done, mut steps) = mpsc::channel(STEPS);
        let abandoned = Arc::new(AtomicBool::new(false));
        let (batch, at_work, is_abandoned) =
            (Arc::clone(&self.batch), Arc::clone(run), Arc::clone(&abandoned));
        let drained = self.thread.call(move |model| {
            let cancelled = || at_work.stop.is_requested() || is_abandoned.load(Ordering::Relaxed);
            let control = Control { cancelled: &cancelled, progress: &|_| () };
            let mut batch = lock(&batch);
            // Who takes the steps goes away only with the run.
            let result = batch.drain(model, &control, |step| drop(done.blocking_send(step)));
            (result, batch.end_all(FinishReason::Interrupted))
        });
        tokio::pin!(drained);
        let mut ended = Vec::new();
        let mut take = |mut step: Step| {
            self.count(run, &step);
            ended.extend(self.keep(std::mem::take(&mut step.ended)));
        };
        let drained = loop {
            tokio::select! {
                biased;
                Some(step) = steps.recv() => take(step),
                drained = &mut drained => break drained,
            }
            // Where the record is full, nothing more is run that it cannot hold.
            if run.output.afford().is_err() {
                abandoned.store(true, Ordering::Relaxed);
            }
        };
        while let Ok(step) = steps.try_recv() {
            take(step);
        }
        let (result, cut) = drained?;
        ended.extend(self.keep(cut));
        run.output.afford()?;
        run.check_stop()?;
        Ok(result.map(|()| ended).map_err(Into::into))
    }

    /// How full it is.
    pub fn status(&self) -> Status {
        lock(&self.batch).status()
    }

    /// The energy of a sequence that has ended.
    pub async fn energy_of(&self, sequence: u64) -> Answer<ReadingRecord> {
        let energy = self.journal.energy_of(sequence).await?;
        Ok(energy.ok_or_else(|| {
            Refusal::NotFound(format!("no sequence {sequence} of this batch has ended"))
        }))
    }

    /// Counts a step's work in.
    fn count(&self, run: &Run, step: &Step) {
        let flops = self.journal.counted(self.thread.info(), step);
        run.work.done().activity.add(&energy::step_activity(step, flops));
        self.journal.stepped(&step.tokens);
    }

    /// Has sequences that have ended written into the journal.
    fn keep(&self, ended: Vec<Ended>) -> Vec<Kept> {
        let kept = |ended: Ended| {
            let record = self.journal.ended(&ended);
            (ended, record)
        };
        ended.into_iter().map(kept).collect()
    }
}
