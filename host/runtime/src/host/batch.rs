//! `engine.wit`, the resource `batch`: continuous batching, a step a call.

use super::{
    generation::completion,
    request,
    types::{Told, recorded},
};
use crate::{
    batch::{BatchHandle, Kept, OpenBatch, prompt_tokens},
    bindings::{engine, types},
    state::State,
};
use llem_engine::batch::{BatchOptions, StepToken, WhenFull};
use wasmtime::component::Resource;

impl From<engine::BatchOptions> for BatchOptions {
    fn from(options: engine::BatchOptions) -> Self {
        let defaults = Self::default();
        Self {
            max_sequences: options.max_sequences as usize,
            max_tokens: options.max_tokens.map(|most| most as usize),
            prefill_chunk: options
                .prefill_chunk
                .map_or(defaults.prefill_chunk, |rows| rows as usize),
            when_full: match options.when_full {
                engine::WhenFull::Wait => WhenFull::Wait,
                engine::WhenFull::Refuse => WhenFull::Refuse,
            },
            ..defaults
        }
    }
}

impl From<Kept> for engine::EndedSequence {
    fn from((ended, record): Kept) -> Self {
        Self { sequence: ended.sequence, completion: completion(&ended.completion, &record) }
    }
}

impl State {
    fn batch(&self, batch: &Resource<OpenBatch>) -> wasmtime::Result<BatchHandle> {
        Ok(self.table.get(batch)?.handle())
    }
}

impl engine::HostBatch for State {
    async fn submit(
        &mut self,
        batch: Resource<OpenBatch>,
        request: engine::Request,
        arrival: Option<u64>,
    ) -> Told<Vec<u64>> {
        self.run.begin()?;
        let batch = self.batch(&batch)?;
        let names = match request::taken(&self.run, request) {
            Ok(asked) => batch.submit(&self.run, asked, arrival).await?,
            Err(refusal) => Err(refusal),
        };
        self.told(names)
    }

    async fn step(&mut self, batch: Resource<OpenBatch>) -> Told<engine::StepResult> {
        self.run.begin()?;
        let stepped = self.batch(&batch)?.step(&self.run).await?;
        let clock = self.run.clock;
        self.told(stepped.map(|(step, ended)| {
            engine::StepResult {
                tokens: step
                    .tokens
                    .iter()
                    .map(|token: &StepToken| engine::StepToken {
                        sequence: token.sequence,
                        token: token.token,
                        at: clock.at(token.at),
                        finish: token.finish.map(Into::into),
                    })
                    .collect(),
                ended: ended.into_iter().map(Into::into).collect(),
                prompt_tokens: prompt_tokens(&step) as u32,
                started: clock.at(step.started),
                finished: clock.at(step.finished),
            }
        }))
    }

    async fn cancel(&mut self, batch: Resource<OpenBatch>, sequence: u64) -> Told<()> {
        let cancelled = self.batch(&batch)?.cancel(sequence).await?;
        self.told(cancelled)
    }

    async fn drain(&mut self, batch: Resource<OpenBatch>) -> Told<Vec<engine::EndedSequence>> {
        self.run.begin()?;
        let drained = self.batch(&batch)?.drain(&self.run).await?;
        self.told(drained.map(|ended| ended.into_iter().map(Into::into).collect()))
    }

    fn status(&mut self, batch: Resource<OpenBatch>) -> wasmtime::Result<engine::BatchStatus> {
        let status = self.batch(&batch)?.status();
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
    ) -> Told<types::Reading> {
        let energy = self.batch(&batch)?.energy_of(sequence).await?;
        self.told(energy.map(|energy| recorded(&energy)))
    }

    async fn drop(&mut self, batch: Resource<OpenBatch>) -> wasmtime::Result<()> {
        let model = self.table.delete(batch)?.close();
        self.run.engines.let_go(model, &self.run.stop).await;
        Ok(())
    }
}
