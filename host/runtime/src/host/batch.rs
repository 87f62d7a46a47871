//! `engine.wit`, the resource `batch`: continuous batching, a step a call.

use super::types::{Answer, reading};
use crate::{
    asked,
    batch_journal::BatchJournal,
    bindings::{
        engine,
        types::{self, Error},
    },
    engine_thread::{EngineGone, EngineThread},
    measure,
    state::{Run, State},
};
use llem_engine::{
    Batch, Control, FinishReason,
    batch::{self, BatchOptions, Ended, Step},
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use tokio::sync::mpsc;
use wasmtime::component::Resource;

/// A continuous batch that a script has open. Whatever becomes of it, its sequences are recorded as far as they came.
pub struct OpenBatch {
    thread: EngineThread,
    /// Only the engine's thread works on it; the guest's side asks how full it is.
    batch: Arc<Mutex<Batch>>,
    journal: Arc<BatchJournal>,
    /// What sequences that still run end with when this is dropped.
    reason: FinishReason,
}

impl Drop for OpenBatch {
    fn drop(&mut self) {
        for ended in lock(&self.batch).end_all(self.reason) {
            self.journal.ended(&ended);
        }
        self.journal.closed();
    }
}

/// Opens a batch of a model.
pub async fn open(
    run: &Arc<Run>,
    thread: EngineThread,
    options: engine::BatchOptions,
) -> Result<llem_engine::Result<OpenBatch>, EngineGone> {
    let defaults = BatchOptions::default();
    let options = BatchOptions {
        max_sequences: options.max_sequences as usize,
        max_tokens: options.max_tokens.map(|most| most as usize),
        prefill_chunk: options.prefill_chunk.map_or(defaults.prefill_chunk, |rows| rows as usize),
        when_full: match options.when_full {
            engine::WhenFull::Wait => batch::WhenFull::Wait,
            engine::WhenFull::Refuse => batch::WhenFull::Refuse,
        },
    };
    let asked = options.clone();
    let opened = thread.call(move |model| Batch::open(model, options)).await?;
    Ok(opened.map(|batch| OpenBatch {
        journal: BatchJournal::new(run, &thread, &asked),
        thread,
        batch: Arc::new(Mutex::new(batch)),
        reason: FinishReason::Interrupted,
    }))
}

fn lock(batch: &Mutex<Batch>) -> MutexGuard<'_, Batch> {
    batch.lock().unwrap_or_else(PoisonError::into_inner)
}

impl engine::HostBatch for State {
    async fn submit(
        &mut self,
        batch: Resource<OpenBatch>,
        request: engine::Request,
        arrival: Option<u64>,
    ) -> Answer<Vec<u64>> {
        // The request is handed over now: its clock runs while it is tokenized.
        let handed_over = Instant::now();
        let now = self.run.clock.at(handed_over);
        self.run.check_stop()?;
        self.run.output.charge(asked::size(&self.run, &request))?;
        if let Some(arrival) = arrival.filter(|&arrival| arrival > now) {
            return Ok(Err(Error::InvalidArgument(format!(
                "arrival lies {} ns in the future: submit the request when it has arrived",
                arrival - now
            ))));
        }
        let (request, arrival) = (Arc::new(request), arrival.unwrap_or(now));
        let asked = Arc::clone(&request);
        let open = self.table.get(&batch)?;
        let (shared, run) = (Arc::clone(&open.batch), Arc::clone(&self.run));
        let submitted = open
            .thread
            .call(move |model| {
                let request = measure::as_engine(&run, &asked);
                let submitted = lock(&shared).submit(model, &request, handed_over);
                submitted.map(|submitted| (submitted, request.sampling.first_stream))
            })
            .await?;
        let (submitted, first_stream) = match submitted {
            Ok(submitted) => submitted,
            Err(error) => return Ok(Err(error.into())),
        };
        self.run.went_on();
        let record = asked::record(&self.run, &request, first_stream);
        let journal = &self.table.get(&batch)?.journal;
        journal.submitted(&submitted, &request.label, arrival, record)?;
        Ok(Ok(submitted.iter().map(|sequence| sequence.name).collect()))
    }

    async fn step(&mut self, batch: Resource<OpenBatch>) -> Answer<engine::StepResult> {
        self.run.check_stop()?;
        let open = self.table.get(&batch)?;
        let (shared, run) = (Arc::clone(&open.batch), Arc::clone(&self.run));
        let stepped = open
            .thread
            .call(move |model| {
                let mut batch = lock(&shared);
                let stop = || run.stop.is_requested();
                match batch.step(model, &stop) {
                    Ok(step) => Ok(step),
                    Err(error) => Err((error, batch.end_all(FinishReason::Interrupted))),
                }
            })
            .await?;
        let step = match stepped {
            Ok(step) => step,
            Err((error, cut)) => {
                self.keep(&batch, cut)?;
                self.run.check_stop()?;
                return Ok(Err(error.into()));
            }
        };
        let at = |time: Instant| self.run.clock.at(time);
        let tokens = step.tokens.iter().map(|token| engine::StepToken {
            sequence: token.sequence,
            token: token.token,
            at: at(token.at),
            finish: token.finish.map(Into::into),
        });
        let mut result = engine::StepResult {
            tokens: tokens.collect(),
            ended: Vec::new(),
            prompt_tokens: measure::prompt_tokens(&step) as u32,
            started: at(step.started),
            finished: at(step.finished),
        };
        result.ended = self.count(&batch, step)?;
        self.run.went_on();
        Ok(Ok(result))
    }

    async fn cancel(&mut self, batch: Resource<OpenBatch>, sequence: u64) -> Answer<()> {
        let open = self.table.get(&batch)?;
        let shared = Arc::clone(&open.batch);
        let cancelled = open.thread.call(move |_| lock(&shared).cancel(sequence)).await?;
        Ok(cancelled.map_err(Into::into))
    }

    async fn drain(&mut self, batch: Resource<OpenBatch>) -> Answer<Vec<engine::EndedSequence>> {
        self.run.check_stop()?;
        let open = self.table.get(&batch)?;
        let (shared, run, thread) =
            (Arc::clone(&open.batch), Arc::clone(&self.run), open.thread.clone());
        // Steps are counted and recorded here while the engine's thread goes on; where they cannot be, it stops.
        let (done, mut steps) = mpsc::unbounded_channel();
        let abandoned = Arc::new(AtomicBool::new(false));
        let is_abandoned = Arc::clone(&abandoned);
        let drained = thread.call(move |model| {
            let cancelled = || run.stop.is_requested() || is_abandoned.load(Ordering::Relaxed);
            let control = Control { cancelled: &cancelled, progress: &|_| () };
            let mut batch = lock(&shared);
            let result = batch.drain(model, &control, |step| drop(done.send(step)));
            (result, batch.end_all(FinishReason::Interrupted))
        });
        tokio::pin!(drained);
        let (mut ended, mut unwritten) = (Vec::new(), None);
        let mut take = |state: &mut Self, step| match state.count(&batch, step) {
            Ok(more) => ended.extend(more),
            Err(error) => {
                abandoned.store(true, Ordering::Relaxed);
                unwritten.get_or_insert(error);
            }
        };
        let drained = loop {
            tokio::select! {
                biased;
                Some(step) = steps.recv() => take(self, step),
                drained = &mut drained => break drained,
            }
        };
        while let Ok(step) = steps.try_recv() {
            take(self, step);
        }
        let (result, cut) = drained?;
        ended.extend(self.keep(&batch, cut)?);
        if let Some(error) = unwritten {
            return Err(error);
        }
        self.run.check_stop()?;
        if result.is_ok() {
            self.run.went_on();
        }
        Ok(result.map(|()| ended).map_err(Into::into))
    }

    fn status(&mut self, batch: Resource<OpenBatch>) -> wasmtime::Result<engine::BatchStatus> {
        let status = lock(&self.table.get(&batch)?.batch).status();
        Ok(engine::BatchStatus {
            running: status.running as u32,
            waiting: status.waiting as u32,
            kv_bytes: status.kv_bytes as u64,
            kv_capacity: status.kv_capacity as u64,
            kv_used: status.kv_used as u64,
        })
    }

    async fn sequence_energy(
        &mut self,
        batch: Resource<OpenBatch>,
        sequence: u64,
    ) -> Answer<types::Reading> {
        let journal = Arc::clone(&self.table.get(&batch)?.journal);
        Ok(match journal.energy_of(sequence).await? {
            Some(energy) => Ok(reading(energy.reading())),
            None => Err(Error::NotFound(format!("no sequence {sequence} of this batch has ended"))),
        })
    }

    async fn drop(&mut self, batch: Resource<OpenBatch>) -> wasmtime::Result<()> {
        let mut open = self.table.delete(batch)?;
        open.reason = FinishReason::Cancelled;
        let thread = open.thread.clone();
        drop(open);
        self.run.let_go(thread).await;
        Ok(())
    }
}

impl State {
    /// Counts a step's work in, and keeps the sequences that ended with it.
    fn count(
        &mut self,
        batch: &Resource<OpenBatch>,
        step: Step,
    ) -> wasmtime::Result<Vec<engine::EndedSequence>> {
        let open = self.table.get(batch)?;
        let flops = open.journal.counted(open.thread.info(), &step);
        self.run.progress().activity.add(&measure::step_activity(&step, flops));
        open.journal.stepped(&step.tokens);
        self.keep(batch, step.ended)
    }

    /// Writes sequences that have ended into the journal.
    fn keep(
        &self,
        batch: &Resource<OpenBatch>,
        ended: Vec<Ended>,
    ) -> wasmtime::Result<Vec<engine::EndedSequence>> {
        let journal = &self.table.get(batch)?.journal;
        let pairs = ended.into_iter().map(|ended| {
            let completion = measure::completion(&ended.completion, &journal.ended(&ended));
            engine::EndedSequence { sequence: ended.sequence, completion }
        });
        Ok(pairs.collect())
    }
}
