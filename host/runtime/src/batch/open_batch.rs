//! A continuous batch that a script has open. Its sequences are recorded as far as they came, however the run ends.

use super::{
    batch_energy::{self, prompt_tokens},
    batch_journal::BatchJournal,
};
use crate::{
    engine_thread::EngineThread,
    error::{CallResult, Refusal},
    run::RunContext,
    window::ScriptRequest,
};
use llem_engine::{
    Batch, BatchOptions, BatchStatus, BatchStep, Control, EndedSequence, FinishReason, Model,
    Request, StepToken, SubmittedSequence, Until,
};
use llem_quantity::ReadingRecord;
use llem_record::SequenceRecord;
use std::{
    sync::{
        self, Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// The most steps of a running batch that may wait to be recorded. The queue is short because the record is far faster
/// than the engine.
const STEPS: usize = 256;

/// How long a dropped batch waits for the step that is being run. A step ends by itself soon after the run was asked to
/// stop.
const PATIENCE: Duration = Duration::from_millis(500);

/// A sequence that has ended, with its entry in the record.
pub(crate) type RecordedSequence = (EndedSequence, SequenceRecord);

/// How many steps one call runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum StepLimit {
    Step,
    Until(Until),
    All,
}

/// What the steps of one call did.
pub(crate) struct StepSummary {
    /// The number of steps that had something to run.
    pub steps: u64,
    /// The tokens that the steps produced.
    pub tokens: Vec<StepToken>,
    pub ended: Vec<RecordedSequence>,
    /// The number of prompt tokens that the steps ran.
    pub prompt_tokens: u64,
    /// When the first step began, or when the call looked for a step if there was none.
    pub started: Instant,
    /// When the tokens of the last step were on the host.
    pub finished: Instant,
}

impl StepSummary {
    fn new() -> Self {
        let now = llem_clock::now();
        let (tokens, ended) = (Vec::new(), Vec::new());
        Self { steps: 0, tokens, ended, prompt_tokens: 0, started: now, finished: now }
    }
}

/// A continuous batch as the script holds it. Dropping it ends its sequences.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct OpenBatch {
    handle: BatchHandle,
    /// The finish reason of sequences that still run when the batch is dropped.
    reason: FinishReason,
}

/// A shared handle to a batch.
#[derive(Clone)]
pub(crate) struct BatchHandle {
    thread: EngineThread,
    /// Only the engine's thread changes it. The guest's side locks it to read how full it is.
    batch: Arc<Mutex<Batch>>,
    journal: Arc<BatchJournal>,
}

impl OpenBatch {
    pub(crate) async fn open(
        run: &Arc<RunContext>,
        thread: EngineThread,
        options: BatchOptions,
    ) -> CallResult<Self> {
        let asked = options.clone();
        let batch =
            match thread.call("open batch", move |model| Batch::open(model, options)).await? {
                Ok(batch) => batch,
                Err(error) => return Ok(Err(error.into())),
            };
        let journal = BatchJournal::new(run, &thread, &asked);
        let handle = BatchHandle { thread, batch: Arc::new(Mutex::new(batch)), journal };
        Ok(Ok(Self { handle, reason: FinishReason::Interrupted }))
    }

    pub(crate) fn handle(&self) -> BatchHandle {
        self.handle.clone()
    }

    /// Closes the batch because the script asks for it. Returns the engine thread of its model, which the caller
    /// releases.
    pub(crate) fn close(mut self) -> EngineThread {
        self.reason = FinishReason::Cancelled;
        self.handle.thread.clone()
    }
}

impl Drop for OpenBatch {
    fn drop(&mut self) {
        let BatchHandle { batch, journal, .. } = &self.handle;
        // If the run was stopped, the engine may still be working in the batch. Then the journal keeps what it already
        // has.
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
        ended.iter().for_each(|ended| drop(journal.end_sequence(ended)));
        journal.close();
    }
}

fn lock(batch: &Mutex<Batch>) -> MutexGuard<'_, Batch> {
    batch.lock().unwrap_or_else(PoisonError::into_inner)
}

impl BatchHandle {
    /// Submits a request that was handed over now and returns the names of its sequences. `arrival`, in nanoseconds on
    /// the run's clock, may be earlier or later than now.
    pub(crate) async fn submit(
        &self,
        run: &RunContext,
        asked: ScriptRequest,
        arrival: Option<u64>,
    ) -> CallResult<Vec<u64>> {
        self.submit_with(run, asked, arrival, Batch::submit).await
    }

    /// Submits a request of one prompt that continues from the KV cache which an ended sequence has kept.
    pub(crate) async fn submit_after(
        &self,
        run: &RunContext,
        sequence: u64,
        fork: bool,
        asked: ScriptRequest,
        arrival: Option<u64>,
    ) -> CallResult<u64> {
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
        run: &RunContext,
        asked: ScriptRequest,
        arrival: Option<u64>,
        submit: impl FnOnce(
            &mut Batch,
            &Model,
            &Request,
            Instant,
            Option<Instant>,
        ) -> llem_engine::Result<Vec<SubmittedSequence>>
        + Send
        + 'static,
    ) -> CallResult<Vec<u64>> {
        // The request's clock runs while its prompt is tokenized.
        let handed_over = llem_clock::now();
        let now = run.clock.at(handed_over);
        let most = run.settings.limits.call;
        if self.status().waiting_bytes > most {
            return Ok(Err(Refusal::LimitReached(format!(
                "sequences that wait take more than {} MiB: run steps before more are submitted; --max-call raises the limit",
                most >> 20
            ))));
        }
        let ScriptRequest { label, request, mut record } = asked;
        let (batch, moment) = (Arc::clone(&self.batch), arrival.map(|at| run.clock.moment(at)));
        let submit = move |model: &mut Model| {
            submit(&mut lock(&batch), model, &request, handed_over, moment)
        };
        let submitted = match self.thread.call("submit", submit).await? {
            Ok(submitted) => submitted,
            Err(error) => return Ok(Err(error.into())),
        };
        record.number = run.work.next_request();
        self.journal.add_request(&submitted, &label, arrival.unwrap_or(now), record)?;
        Ok(Ok(submitted.iter().map(|sequence| sequence.name).collect()))
    }

    /// Changes the batch in a way that needs neither the model nor time. The lock is free because a script makes one
    /// call at a time.
    pub(crate) fn change<T>(
        &self,
        change: impl FnOnce(&mut Batch) -> llem_engine::Result<T>,
    ) -> Result<T, Refusal> {
        Ok(change(&mut lock(&self.batch))?)
    }

    /// Chooses the next token of a sequence.
    pub(crate) async fn choose(&self, sequence: u64, token: u32) -> CallResult<()> {
        let batch = Arc::clone(&self.batch);
        let choose = move |model: &mut Model| lock(&batch).choose(model, sequence, token);
        Ok(self.thread.call("choose", choose).await?.map_err(Into::into))
    }

    /// Runs steps on the engine's thread, and records them on this thread meanwhile.
    pub(crate) async fn run(
        &self,
        run: &Arc<RunContext>,
        length: StepLimit,
    ) -> CallResult<StepSummary> {
        let _working = run.stop.begin_work();
        let (done, mut steps) = mpsc::channel(STEPS);
        // On a virtual clock, the engine waits until each step is recorded. Otherwise the time of a line in the journal
        // would depend on how far the engine has come meanwhile.
        let (recorded, is_recorded) = sync::mpsc::channel::<()>();
        let waits = llem_clock::virtual_clock().is_some();
        let abandoned = Arc::new(AtomicBool::new(false));
        let (batch, at_work, is_abandoned) =
            (Arc::clone(&self.batch), Arc::clone(run), Arc::clone(&abandoned));
        let worked = self.thread.call("run batch", move |model| {
            let cancelled = || at_work.stop.is_requested() || is_abandoned.load(Ordering::Relaxed);
            let control = Control { cancelled: &cancelled, progress: &|_| () };
            let mut batch = lock(&batch);
            // The receiver is dropped only with the run, so a failed send may be ignored.
            let each = |step: BatchStep| {
                if done.blocking_send(step).is_ok() && waits {
                    let _ = is_recorded.recv();
                }
            };
            let result = match length {
                StepLimit::Step => batch.step(model, &cancelled).map(each),
                StepLimit::Until(until) => batch.run_until(model, &control, until, each).map(drop),
                StepLimit::All => batch.drain(model, &control, each),
            };
            let is_cut = result.is_err() || matches!(length, StepLimit::All);
            let cut = if is_cut { batch.end_all(FinishReason::Interrupted) } else { Vec::new() };
            (result, cut)
        });
        tokio::pin!(worked);
        let mut summary = StepSummary::new();
        let mut take = |step: BatchStep| self.add_step(run, step, &mut summary);
        let worked = loop {
            tokio::select! {
                biased;
                Some(step) = steps.recv() => {
                    take(step);
                    if waits {
                        let _ = recorded.send(());
                    }
                }
                worked = &mut worked => break worked,
            }
            // Once the record is full, no more is run, because the record could not hold it.
            if run.output.check_budget().is_err() {
                abandoned.store(true, Ordering::Relaxed);
            }
        };
        while let Ok(step) = steps.try_recv() {
            take(step);
        }
        let (result, cut) = worked?;
        summary.ended.extend(self.record_ended(cut));
        run.output.check_budget()?;
        run.check_stop()?;
        Ok(result.map(|()| summary).map_err(Into::into))
    }

    /// Adds a finished step to the summary and to the journal.
    fn add_step(&self, run: &RunContext, mut step: BatchStep, summary: &mut StepSummary) {
        self.count_step(run, &step);
        summary.ended.extend(self.record_ended(std::mem::take(&mut step.ended)));
        if summary.steps == 0 {
            summary.started = step.started;
        }
        summary.steps += u64::from(!step.scheduled.is_empty());
        summary.prompt_tokens += prompt_tokens(&step);
        summary.finished = step.finished;
        self.journal.write_if_due();
        summary.tokens.append(&mut step.tokens);
    }

    pub(crate) fn status(&self) -> BatchStatus {
        lock(&self.batch).status()
    }

    /// The energy of a sequence that has ended. It waits until the energy counters have ticked.
    pub(crate) async fn energy_of(&self, sequence: u64) -> CallResult<ReadingRecord> {
        let energy = self.journal.energy_of(sequence).await?;
        Ok(energy.ok_or_else(|| {
            Refusal::NotFound(format!("no sequence {sequence} of this batch has ended"))
        }))
    }

    /// Adds a step's work to the totals of the run.
    fn count_step(&self, run: &RunContext, step: &BatchStep) {
        let flops = self.journal.count_step(self.thread.info(), step);
        run.work.totals().activity.add(&batch_energy::step_activity(step, flops));
        self.journal.add_tokens(&step.tokens);
    }

    /// Writes sequences that have ended into the journal.
    fn record_ended(&self, ended: Vec<EndedSequence>) -> Vec<RecordedSequence> {
        let kept = |ended: EndedSequence| {
            let record = self.journal.end_sequence(&ended);
            (ended, record)
        };
        ended.into_iter().map(kept).collect()
    }
}
