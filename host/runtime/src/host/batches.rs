//! The interfaces of `batches.wit`: continuous batching, one step or several a call.

use super::{
    requests,
    types::{HostResult, recorded},
};
use crate::{
    batch::{BatchHandle, OpenBatch, RecordedSequence, StepLimit, StepSummary},
    bindings::{batches, types},
    resources::{BatchProgress, CompletedSequence, NextTokenLogits, RequestDraft},
    store_data::StoreData,
};
use llem_engine::{Batch, BatchOptions, BatchStatus, LogitsRow, Until, WhenFull};
use wasmtime::component::Resource;

impl batches::Host for StoreData {}

impl batches::HostBatchOptions for StoreData {
    fn new(&mut self, max_sequences: u32) -> wasmtime::Result<Resource<BatchOptions>> {
        let max_sequences = max_sequences as usize;
        self.new_handle(BatchOptions { max_sequences, ..BatchOptions::default() })
    }

    fn copy(
        &mut self,
        options: Resource<BatchOptions>,
    ) -> wasmtime::Result<Resource<BatchOptions>> {
        let copy = self.table.get(&options)?.clone();
        self.new_handle(copy)
    }

    fn max_sequences(&mut self, options: Resource<BatchOptions>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&options)?.max_sequences as u32)
    }

    fn max_tokens(&mut self, options: Resource<BatchOptions>) -> wasmtime::Result<Option<u32>> {
        Ok(self.table.get(&options)?.max_tokens.map(|most| most as u32))
    }

    fn set_max_tokens(
        &mut self,
        options: Resource<BatchOptions>,
        most: Option<u32>,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.max_tokens = most.map(|most| most as usize);
        Ok(())
    }

    fn prefill_chunk(&mut self, options: Resource<BatchOptions>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&options)?.prefill_chunk as u32)
    }

    fn set_prefill_chunk(
        &mut self,
        options: Resource<BatchOptions>,
        rows: u32,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.prefill_chunk = rows as usize;
        Ok(())
    }

    fn max_rows(&mut self, options: Resource<BatchOptions>) -> wasmtime::Result<Option<u32>> {
        Ok(self.table.get(&options)?.max_rows.map(|rows| rows as u32))
    }

    fn set_max_rows(
        &mut self,
        options: Resource<BatchOptions>,
        rows: Option<u32>,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.max_rows = rows.map(|rows| rows as usize);
        Ok(())
    }

    fn refuses_when_full(&mut self, options: Resource<BatchOptions>) -> wasmtime::Result<bool> {
        Ok(self.table.get(&options)?.when_full == WhenFull::Refuse)
    }

    fn set_refuses_when_full(
        &mut self,
        options: Resource<BatchOptions>,
        refuses: bool,
    ) -> wasmtime::Result<()> {
        let when_full = if refuses { WhenFull::Refuse } else { WhenFull::Wait };
        self.table.get_mut(&options)?.when_full = when_full;
        Ok(())
    }

    fn prefix_cache(&mut self, options: Resource<BatchOptions>) -> wasmtime::Result<bool> {
        Ok(self.table.get(&options)?.prefix_cache)
    }

    fn set_prefix_cache(
        &mut self,
        options: Resource<BatchOptions>,
        is_used: bool,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&options)?.prefix_cache = is_used;
        Ok(())
    }

    fn drop(&mut self, options: Resource<BatchOptions>) -> wasmtime::Result<()> {
        self.table.delete(options)?;
        Ok(())
    }
}

impl StoreData {
    fn batch(&self, batch: &Resource<OpenBatch>) -> wasmtime::Result<BatchHandle> {
        Ok(self.table.get(batch)?.handle())
    }

    fn status(&self, batch: &Resource<OpenBatch>) -> wasmtime::Result<BatchStatus> {
        Ok(self.batch(batch)?.status())
    }

    fn ended(&self, ended: Vec<RecordedSequence>) -> wasmtime::Result<Vec<CompletedSequence>> {
        let completed = |(ended, record): RecordedSequence| {
            self.completed_sequence(ended.sequence, ended.completion, record)
        };
        ended.into_iter().map(completed).collect()
    }

    /// Runs steps and gives the script what they did.
    async fn run_steps(
        &mut self,
        batch: &Resource<OpenBatch>,
        length: StepLimit,
    ) -> HostResult<Resource<BatchProgress>> {
        self.run.check_can_work()?;
        let handle = self.batch(batch)?;
        let progressed = match handle.run(&self.run, length).await? {
            Ok(summary) => Ok(self.progress(summary)?),
            Err(refusal) => Err(refusal),
        };
        self.reply_handle(progressed)
    }
}

impl batches::HostBatch for StoreData {
    async fn submit(
        &mut self,
        batch: Resource<OpenBatch>,
        request: Resource<RequestDraft>,
        arrival: Option<u64>,
    ) -> HostResult<Vec<u64>> {
        self.run.check_can_work()?;
        let batch = self.batch(&batch)?;
        let names = match requests::script_request(&self.run, self.table.get(&request)?) {
            Ok(asked) => batch.submit(&self.run, asked, arrival).await?,
            Err(refusal) => Err(refusal),
        };
        self.reply(names)
    }

    async fn submit_after(
        &mut self,
        batch: Resource<OpenBatch>,
        sequence: u64,
        fork: bool,
        request: Resource<RequestDraft>,
        arrival: Option<u64>,
    ) -> HostResult<u64> {
        self.run.check_can_work()?;
        let batch = self.batch(&batch)?;
        let name = match requests::script_request(&self.run, self.table.get(&request)?) {
            Ok(asked) => batch.submit_after(&self.run, sequence, fork, asked, arrival).await?,
            Err(refusal) => Err(refusal),
        };
        self.reply(name)
    }

    fn release(&mut self, batch: Resource<OpenBatch>, sequence: u64) -> HostResult<()> {
        let released = self.batch(&batch)?.change(|batch| batch.release(sequence));
        self.reply(released)
    }

    async fn step(&mut self, batch: Resource<OpenBatch>) -> HostResult<Resource<BatchProgress>> {
        self.run_steps(&batch, StepLimit::Step).await
    }

    async fn run_until(
        &mut self,
        batch: Resource<OpenBatch>,
        time: u64,
    ) -> HostResult<Resource<BatchProgress>> {
        let time = self.run.clock.moment(time);
        self.run_steps(&batch, StepLimit::Until(Until::Time(time))).await
    }

    async fn run_until_end(
        &mut self,
        batch: Resource<OpenBatch>,
    ) -> HostResult<Resource<BatchProgress>> {
        self.run_steps(&batch, StepLimit::Until(Until::NextEnd)).await
    }

    async fn run_until_token(
        &mut self,
        batch: Resource<OpenBatch>,
    ) -> HostResult<Resource<BatchProgress>> {
        self.run_steps(&batch, StepLimit::Until(Until::NextToken)).await
    }

    async fn drain(
        &mut self,
        batch: Resource<OpenBatch>,
    ) -> HostResult<Vec<Resource<CompletedSequence>>> {
        self.run.check_can_work()?;
        match self.batch(&batch)?.run(&self.run, StepLimit::All).await? {
            Ok(summary) => {
                let ended = self.ended(summary.ended)?;
                Ok(Ok(self.new_handles(ended)?))
            }
            Err(refusal) => Ok(Err(refusal.into())),
        }
    }

    fn cancel(&mut self, batch: Resource<OpenBatch>, sequence: u64) -> HostResult<()> {
        let cancelled = self.batch(&batch)?.change(|batch| batch.cancel(sequence));
        self.reply(cancelled)
    }

    fn logits(
        &mut self,
        batch: Resource<OpenBatch>,
        sequence: u64,
    ) -> HostResult<Resource<NextTokenLogits>> {
        let handle = self.batch(&batch)?;
        let read = |batch: &mut Batch| {
            let row = batch.logits(sequence)?;
            LogitsRow::new(&row)?;
            Ok(row)
        };
        let logits = match handle.change(read) {
            Ok(row) => {
                Ok(NextTokenLogits { charge: self.memory.charge(size_of_val(&row[..]))?, row })
            }
            Err(refusal) => Err(refusal),
        };
        self.reply_handle(logits)
    }

    async fn choose(
        &mut self,
        batch: Resource<OpenBatch>,
        sequence: u64,
        token: u32,
    ) -> HostResult<()> {
        let chosen = self.batch(&batch)?.choose(sequence, token).await?;
        self.reply(chosen)
    }

    fn running(&mut self, batch: Resource<OpenBatch>) -> wasmtime::Result<u32> {
        Ok(self.status(&batch)?.running as u32)
    }

    fn waiting(&mut self, batch: Resource<OpenBatch>) -> wasmtime::Result<u32> {
        Ok(self.status(&batch)?.waiting as u32)
    }

    fn scheduled(&mut self, batch: Resource<OpenBatch>) -> wasmtime::Result<u32> {
        Ok(self.status(&batch)?.scheduled as u32)
    }

    fn kv_bytes(&mut self, batch: Resource<OpenBatch>) -> wasmtime::Result<u64> {
        Ok(self.status(&batch)?.kv_bytes as u64)
    }

    fn kv_capacity(&mut self, batch: Resource<OpenBatch>) -> wasmtime::Result<u64> {
        Ok(self.status(&batch)?.kv_capacity as u64)
    }

    fn kv_used(&mut self, batch: Resource<OpenBatch>) -> wasmtime::Result<u64> {
        Ok(self.status(&batch)?.kv_used as u64)
    }

    fn prefix_queries(&mut self, batch: Resource<OpenBatch>) -> wasmtime::Result<u64> {
        Ok(self.status(&batch)?.prefix_queries)
    }

    fn prefix_hits(&mut self, batch: Resource<OpenBatch>) -> wasmtime::Result<u64> {
        Ok(self.status(&batch)?.prefix_hits)
    }

    async fn sequence_energy(
        &mut self,
        batch: Resource<OpenBatch>,
        sequence: u64,
    ) -> HostResult<types::Reading> {
        let energy = self.batch(&batch)?.energy_of(sequence).await?;
        self.reply(energy.map(|energy| recorded(&energy)))
    }

    async fn drop(&mut self, batch: Resource<OpenBatch>) -> wasmtime::Result<()> {
        let model = self.table.delete(batch)?.close();
        self.run.engines.release(model, &self.run.stop).await;
        Ok(())
    }
}

impl batches::HostProgress for StoreData {
    fn steps(&mut self, progress: Resource<BatchProgress>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&progress)?.steps)
    }

    fn tokens(
        &mut self,
        progress: Resource<BatchProgress>,
    ) -> wasmtime::Result<Vec<batches::StepToken>> {
        let seen = |&(sequence, token, at)| batches::StepToken { sequence, token, at };
        Ok(self.table.get(&progress)?.tokens.iter().map(seen).collect())
    }

    fn ended(
        &mut self,
        progress: Resource<BatchProgress>,
    ) -> wasmtime::Result<Vec<Resource<CompletedSequence>>> {
        let ended = self.table.get(&progress)?.ended.clone();
        self.new_handles(ended)
    }

    fn prompt_tokens(&mut self, progress: Resource<BatchProgress>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&progress)?.prompt_tokens)
    }

    fn started(&mut self, progress: Resource<BatchProgress>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&progress)?.started_ns)
    }

    fn finished(&mut self, progress: Resource<BatchProgress>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&progress)?.finished_ns)
    }

    fn drop(&mut self, progress: Resource<BatchProgress>) -> wasmtime::Result<()> {
        self.table.delete(progress)?;
        Ok(())
    }
}

impl StoreData {
    fn progress(&self, summary: StepSummary) -> wasmtime::Result<BatchProgress> {
        let StepSummary { steps, tokens, ended, prompt_tokens, started, finished } = summary;
        let clock = self.run.clock;
        let tokens: Vec<_> =
            tokens.iter().map(|token| (token.sequence, token.token, clock.at(token.at))).collect();
        let charge = self.memory.charge(size_of::<BatchProgress>() + size_of_val(&tokens[..]))?;
        let ended = self.ended(ended)?;
        let [started_ns, finished_ns] = [started, finished].map(|moment| clock.at(moment));
        Ok(BatchProgress { steps, tokens, ended, prompt_tokens, started_ns, finished_ns, charge })
    }
}
