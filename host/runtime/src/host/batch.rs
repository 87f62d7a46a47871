//! `engine.wit`, the resource `batch`: continuous batching, a step a call.

use super::types::Answer;
use crate::{
    bindings::{engine, types::Error},
    engine_thread::{EngineGone, EngineThread},
    measure,
    state::State,
};
use llem_engine::{
    Batch, Control, FinishReason, Model,
    batch::{self, BatchOptions, Ended, Step},
};
use llem_record::{Event, event::BatchSequenceRecord};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use wasmtime::component::Resource;

/// A continuous batch that a script has open.
pub struct OpenBatch {
    thread: EngineThread,
    /// Only the engine's thread works on it; the guest's side asks how full it is.
    batch: Arc<Mutex<Batch>>,
    /// Label and arrival of the sequences that have not ended.
    submitted: BTreeMap<u64, (String, u64)>,
}

/// Opens a batch of a model.
pub async fn open(
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
    let opened = thread.call(move |model| Batch::open(model, options)).await?;
    Ok(opened.map(|batch| OpenBatch {
        thread,
        batch: Arc::new(Mutex::new(batch)),
        submitted: BTreeMap::new(),
    }))
}

/// The sequences that no step will end any more, as far as they came: they are recorded.
fn cut_short(batch: &mut Batch, model: &Model) -> Vec<Ended> {
    // Only a tokenizer can fail here; the sequences' ids are then lost with their text.
    batch.end_all(model, FinishReason::Interrupted).unwrap_or_default()
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
        self.run.check_stop()?;
        self.run.output.charge(request.label.len())?;
        let now = self.run.clock.now();
        if let Some(arrival) = arrival.filter(|&arrival| arrival > now) {
            return Ok(Err(Error::InvalidArgument(format!(
                "arrival lies {} ns in the future: submit the request when it has arrived",
                arrival - now
            ))));
        }
        let (label, arrival) = (request.label.clone(), arrival.unwrap_or(now));
        let open = self.table.get(&batch)?;
        let (shared, seed) = (Arc::clone(&open.batch), self.run.seed);
        let submitted = open
            .thread
            .call(move |model| {
                let request = measure::tokenized(model, request, seed)?;
                lock(&shared).submit(model, &request)
            })
            .await?;
        let names = match submitted {
            Ok(names) => names,
            Err(error) => return Ok(Err(error.into())),
        };
        self.run.went_on();
        let open = self.table.get_mut(&batch)?;
        open.submitted.extend(names.iter().map(|&name| (name, (label.clone(), arrival))));
        Ok(Ok(names))
    }

    async fn step(&mut self, batch: Resource<OpenBatch>) -> Answer<engine::StepResult> {
        self.run.check_stop()?;
        let open = self.table.get(&batch)?;
        let shared = Arc::clone(&open.batch);
        let stepped = open
            .thread
            .call(move |model| {
                let mut batch = lock(&shared);
                batch.step(model).map_err(|error| (error, cut_short(&mut batch, model)))
            })
            .await?;
        let step = match stepped {
            Ok(step) => step,
            Err((error, cut)) => {
                self.keep(&batch, cut)?;
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
        let (shared, run) = (Arc::clone(&open.batch), Arc::clone(&self.run));
        let drained = open
            .thread
            .call(move |model| {
                let mut steps = Vec::new();
                let control = Control { cancelled: &|| run.stop.is_requested(), progress: &|_| () };
                let mut batch = lock(&shared);
                let result = batch.drain(model, &control, |step| steps.push(step));
                (steps, result, cut_short(&mut batch, model))
            })
            .await?;
        let (steps, result, cut) = drained;
        let mut ended = Vec::new();
        for step in steps {
            ended.extend(self.count(&batch, step)?);
        }
        ended.extend(self.keep(&batch, cut)?);
        self.run.check_stop()?;
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

    async fn drop(&mut self, batch: Resource<OpenBatch>) -> wasmtime::Result<()> {
        let OpenBatch { thread, batch, .. } = self.table.delete(batch)?;
        drop(batch);
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
        let work = measure::step_activity(self.table.get(batch)?.thread.info(), &step);
        self.run.progress().activity.add(&work);
        self.keep(batch, step.ended)
    }

    /// Writes sequences that have ended into the journal.
    fn keep(
        &mut self,
        batch: &Resource<OpenBatch>,
        ended: Vec<Ended>,
    ) -> wasmtime::Result<Vec<engine::EndedSequence>> {
        let mut kept = Vec::with_capacity(ended.len());
        for Ended { sequence, completion } in ended {
            let submitted = self.table.get_mut(batch)?.submitted.remove(&sequence);
            let (label, arrival) = submitted.unwrap_or_default();
            let record = measure::sequence(&self.run, &completion, arrival);
            kept.push(engine::EndedSequence {
                sequence,
                completion: measure::completion(&completion, &record),
            });
            let phase = self.run.phase_path();
            let event = BatchSequenceRecord { label, phase, name: sequence, sequence: record };
            self.run.output.write(Event::BatchSequence(event))?;
        }
        Ok(kept)
    }
}
