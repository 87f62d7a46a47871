//! A batch that a script has open: its sequences are recorded as far as they came, whatever becomes of it.

use super::{
    energy::{self, prompt_tokens},
    journal::BatchJournal,
};
use crate::{
    engine_thread::EngineThread,
    error::{Answer, Refusal},
    measure::Asked,
    run::Run,
};
use llem_engine::{
    Batch, Control, FinishReason, Model, Request,
    batch::{BatchOptions, Ended, Status, Step, StepToken, Submitted, Until},
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

/// How far a batch is run.
#[derive(Clone, Copy, Debug)]
pub enum Length {
    /// One step.
    Step,
    /// Until something happens.
    Until(Until),
    /// Until every sequence has ended.
    All,
}

/// What steps did.
pub struct Stretch {
    /// How many had something to run.
    pub steps: u64,
    /// The tokens that they produced.
    pub tokens: Vec<StepToken>,
    /// The sequences that ended.
    pub ended: Vec<Kept>,
    /// Prompt tokens that they ran.
    pub prompt_tokens: u64,
    /// When the first began; where there was none, when it was looked for.
    pub started: Instant,
    /// When the tokens of the last were on the host.
    pub finished: Instant,
}

impl Stretch {
    fn begins() -> Self {
        let now = Instant::now();
        let (tokens, ended) = (Vec::new(), Vec::new());
        Self { steps: 0, tokens, ended, prompt_tokens: 0, started: now, finished: now }
    }
}

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
    /// Submits a request that was handed over now. It arrived earlier, or will arrive, if that is said. Returns its
    /// sequences' names.
    pub async fn submit(&self, run: &Run, asked: Asked, arrival: Option<u64>) -> Answer<Vec<u64>> {
        self.submit_with(run, asked, arrival, Batch::submit).await
    }

    /// The same for a request of one prompt, which goes on where an ended sequence has held its cache.
    pub async fn submit_after(
        &self,
        run: &Run,
        sequence: u64,
        fork: bool,
        asked: Asked,
        arrival: Option<u64>,
    ) -> Answer<u64> {
        let submit =
            move |batch: &mut Batch, model: &Model, request: &Request, handed_over, arrival| {
                let submitted =
                    batch.submit_after(model, sequence, fork, request, handed_over, arrival)?;
                Ok(vec![submitted])
            };
        let names = self.submit_with(run, asked, arrival, submit).await?;
        Ok(names.and_then(|names| {
            let none = || Refusal::Failed("nothing was submitted".to_owned());
            names.first().copied().ok_or_else(none)
        }))
    }

    async fn submit_with(
        &self,
        run: &Run,
        asked: Asked,
        arrival: Option<u64>,
        submit: impl FnOnce(
            &mut Batch,
            &Model,
            &Request,
            Instant,
            Option<Instant>,
        ) -> llem_engine::Result<Vec<Submitted>>
        + Send
        + 'static,
    ) -> Answer<Vec<u64>> {
        // Its clock runs while it is tokenized.
        let handed_over = Instant::now();
        let now = run.clock.at(handed_over);
        let most = run.settings.limits.call;
        if self.status().waiting_bytes > most {
            return Ok(Err(Refusal::LimitReached(format!(
                "sequences that wait take more than {} MiB: run steps before more are submitted; --max-call raises the limit",
                most >> 20
            ))));
        }
        let Asked { label, request, mut record } = asked;
        let (batch, moment) = (Arc::clone(&self.batch), arrival.map(|at| run.clock.moment(at)));
        let submit = move |model: &mut Model| {
            submit(&mut lock(&batch), model, &request, handed_over, moment)
        };
        let submitted = match self.thread.call(submit).await? {
            Ok(submitted) => submitted,
            Err(error) => return Ok(Err(error.into())),
        };
        record.number = run.work.next_request();
        self.journal.submitted(&submitted, &label, arrival.unwrap_or(now), record)?;
        Ok(Ok(submitted.iter().map(|sequence| sequence.name).collect()))
    }

    /// Changes something that takes no model and no time. Between two calls of a script nobody else is at work.
    pub fn change<T>(
        &self,
        change: impl FnOnce(&mut Batch) -> llem_engine::Result<T>,
    ) -> Result<T, Refusal> {
        Ok(change(&mut lock(&self.batch))?)
    }

    /// Chooses a sequence's next token.
    pub async fn choose(&self, sequence: u64, token: u32) -> Answer<()> {
        let batch = Arc::clone(&self.batch);
        let choose = move |model: &mut Model| lock(&batch).choose(model, sequence, token);
        Ok(self.thread.call(choose).await?.map_err(Into::into))
    }

    /// Runs steps. They are recorded here while the engine's thread goes on.
    pub async fn run(&self, run: &Arc<Run>, length: Length) -> Answer<Stretch> {
        let _working = run.stop.working();
        let (done, mut steps) = mpsc::channel(STEPS);
        let abandoned = Arc::new(AtomicBool::new(false));
        let (batch, at_work, is_abandoned) =
            (Arc::clone(&self.batch), Arc::clone(run), Arc::clone(&abandoned));
        let worked = self.thread.call(move |model| {
            let cancelled = || at_work.stop.is_requested() || is_abandoned.load(Ordering::Relaxed);
            let control = Control { cancelled: &cancelled, progress: &|_| () };
            let mut batch = lock(&batch);
            // Who takes the steps goes away only with the run.
            let each = |step: Step| drop(done.blocking_send(step));
            let result = match length {
                Length::Step => batch.step(model, &cancelled).map(each),
                Length::Until(until) => batch.run_until(model, &control, until, each).map(drop),
                Length::All => batch.drain(model, &control, each),
            };
            let is_cut = result.is_err() || matches!(length, Length::All);
            let cut = if is_cut { batch.end_all(FinishReason::Interrupted) } else { Vec::new() };
            (result, cut)
        });
        tokio::pin!(worked);
        let mut stretch = Stretch::begins();
        let mut take = |step: Step| self.take(run, step, &mut stretch);
        let worked = loop {
            tokio::select! {
                biased;
                Some(step) = steps.recv() => take(step),
                worked = &mut worked => break worked,
            }
            // Where the record is full, nothing more is run that it cannot hold.
            if run.output.afford().is_err() {
                abandoned.store(true, Ordering::Relaxed);
            }
        };
        while let Ok(step) = steps.try_recv() {
            take(step);
        }
        let (result, cut) = worked?;
        stretch.ended.extend(self.keep(cut));
        run.output.afford()?;
        run.check_stop()?;
        Ok(result.map(|()| stretch).map_err(Into::into))
    }

    /// Takes note of a step.
    fn take(&self, run: &Run, mut step: Step, stretch: &mut Stretch) {
        self.count(run, &step);
        stretch.ended.extend(self.keep(std::mem::take(&mut step.ended)));
        if stretch.steps == 0 {
            stretch.started = step.started;
        }
        stretch.steps += u64::from(!step.scheduled.is_empty());
        stretch.prompt_tokens += prompt_tokens(&step);
        stretch.finished = step.finished;
        stretch.tokens.append(&mut step.tokens);
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
