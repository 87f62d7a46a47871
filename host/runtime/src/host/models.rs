//! The resource `model` of `models.wit`.

use super::{requests, types::HostResult};
use crate::{
    batch::OpenBatch,
    bindings::{generations, models},
    loaded_model::LoadedModel,
    resources::{GenerationResult, LoadOptionsDraft, RequestDraft, ScoringResult},
    store_data::StoreData,
    window::scoring::ScoringTask,
};
use llem_engine::{
    ActiveAdapter, BatchOptions, Model, ModelInfo, RankInfo, ScoreRequest, Split, TextTools,
};
use std::sync::Arc;
use wasmtime::component::Resource;

impl models::Host for StoreData {}

impl models::HostModel for StoreData {
    async fn load(
        &mut self,
        options: Resource<LoadOptionsDraft>,
    ) -> HostResult<Resource<LoadedModel>> {
        self.run.check_can_work()?;
        let options = self.table.get(&options)?.clone();
        let loaded = self.load_model(options).await?;
        self.reply(loaded)
    }

    fn source(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<String> {
        Ok(self.info_of(&model)?.source.clone())
    }

    fn architecture(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<String> {
        Ok(self.info_of(&model)?.architecture.clone())
    }

    fn digest(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<String> {
        Ok(self.info_of(&model)?.digest.clone())
    }

    fn parameters(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<u64> {
        Ok(self.info_of(&model)?.parameters)
    }

    fn parameters_without_embeddings(
        &mut self,
        model: Resource<LoadedModel>,
    ) -> wasmtime::Result<u64> {
        Ok(self.info_of(&model)?.parameters_without_embeddings())
    }

    fn weight_bytes(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<u64> {
        Ok(self.info_of(&model)?.weight_bytes)
    }

    fn decode_weight_bytes(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<u64> {
        Ok(self.info_of(&model)?.decode_weight_bytes)
    }

    fn dtype(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<String> {
        Ok(self.info_of(&model)?.dtype.to_string())
    }

    fn kv_dtype(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<String> {
        Ok(self.info_of(&model)?.kv_dtype.to_string())
    }

    fn quantization(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<Option<String>> {
        Ok(self.info_of(&model)?.quantization.clone())
    }

    fn device(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<String> {
        Ok(self.info_of(&model)?.device.to_string())
    }

    fn threads(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<u32> {
        Ok(self.info_of(&model)?.threads as u32)
    }

    fn parallelism(
        &mut self,
        model: Resource<LoadedModel>,
    ) -> wasmtime::Result<models::Parallelism> {
        let Split { tensor, pipeline, data, .. } = self.info_of(&model)?.split;
        let [tensor, pipeline, data] = [tensor, pipeline, data].map(|count| count as u32);
        Ok(models::Parallelism { tensor, pipeline, data })
    }

    fn ranks(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<Vec<models::Rank>> {
        let rank = |rank: &RankInfo| models::Rank {
            device: rank.device_name(),
            first_layer: rank.layers.start as u32,
            layers: rank.layers.len() as u32,
            weight_bytes: rank.weight_bytes,
        };
        Ok(self.info_of(&model)?.ranks.iter().map(rank).collect())
    }

    fn context_length(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<u32> {
        Ok(self.info_of(&model)?.shape.context as u32)
    }

    fn vocab_size(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<u32> {
        Ok(self.info_of(&model)?.shape.vocab as u32)
    }

    fn layers(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<u32> {
        Ok(self.info_of(&model)?.shape.layers as u32)
    }

    fn hidden_size(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<u32> {
        Ok(self.info_of(&model)?.shape.hidden as u32)
    }

    fn intermediate_size(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<Option<u32>> {
        Ok(self.info_of(&model)?.shape.dense_width().map(|size| size as u32))
    }

    fn heads(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<u32> {
        Ok(self.info_of(&model)?.shape.heads as u32)
    }

    fn kv_heads(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<u32> {
        Ok(self.info_of(&model)?.shape.kv_heads as u32)
    }

    fn head_size(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<u32> {
        Ok(self.info_of(&model)?.shape.head_dim as u32)
    }

    fn experts(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<u32> {
        Ok(self.info_of(&model)?.shape.mixture().map_or(0, |experts| experts.count as u32))
    }

    fn experts_per_token(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<u32> {
        Ok(self.info_of(&model)?.shape.mixture().map_or(0, |experts| experts.active as u32))
    }

    fn expert_size(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<Option<u32>> {
        Ok(self.info_of(&model)?.shape.mixture().map(|experts| experts.intermediate as u32))
    }

    fn has_tied_embeddings(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<bool> {
        Ok(self.info_of(&model)?.shape.tied_head)
    }

    fn attention_windows(
        &mut self,
        model: Resource<LoadedModel>,
    ) -> wasmtime::Result<Vec<Option<u32>>> {
        let windows = self.info_of(&model)?.shape.windows();
        Ok(windows.map(|window| window.map(|tokens| tokens as u32)).collect())
    }

    fn kv_bytes_per_token(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<u64> {
        Ok(self.info_of(&model)?.kv_bytes_per_token)
    }

    fn eos_tokens(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<Vec<u32>> {
        Ok(self.info_of(&model)?.eos.clone())
    }

    fn load_time(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<u64> {
        Ok(self.info_of(&model)?.load_time.as_nanos() as u64)
    }

    fn tokenizer(
        &mut self,
        model: Resource<LoadedModel>,
    ) -> wasmtime::Result<Option<Resource<TextTools>>> {
        let tokenizer = self.table.get(&model)?.thread.text().cloned();
        tokenizer.map(|tokenizer| self.new_handle(tokenizer)).transpose()
    }

    async fn generate(
        &mut self,
        model: Resource<LoadedModel>,
        request: Resource<RequestDraft>,
    ) -> HostResult<Resource<GenerationResult>> {
        self.run.check_can_work()?;
        let thread = self.table.get(&model)?.thread.clone();
        let generated = match requests::script_request(&self.run, self.table.get(&request)?) {
            Ok(asked) => self.generate_recorded(&thread, asked).await?,
            Err(refusal) => Err(refusal),
        };
        self.reply_handle(generated)
    }

    async fn score(
        &mut self,
        model: Resource<LoadedModel>,
        requests: Vec<generations::ScoreRequest>,
    ) -> HostResult<Resource<ScoringResult>> {
        let requests = requests.into_iter().map(|request| ScoreRequest {
            context: request.context,
            continuation: request.continuation,
        });
        self.score_recorded(&model, ScoringTask::Continuations(requests.collect())).await
    }

    async fn score_rolling(
        &mut self,
        model: Resource<LoadedModel>,
        texts: Vec<Vec<u32>>,
        prefix: u32,
    ) -> HostResult<Resource<ScoringResult>> {
        self.score_recorded(&model, ScoringTask::Texts(texts, prefix)).await
    }

    async fn open_batch(
        &mut self,
        model: Resource<LoadedModel>,
        options: Resource<BatchOptions>,
    ) -> HostResult<Resource<OpenBatch>> {
        let thread = self.table.get(&model)?.thread.clone();
        let options = self.table.get(&options)?.clone();
        self.run.check_can_work()?;
        let opened = OpenBatch::open(&self.run, thread, options).await?;
        self.reply_handle(opened)
    }

    async fn attach_adapter(
        &mut self,
        model: Resource<LoadedModel>,
        source: String,
    ) -> HostResult<Resource<ActiveAdapter>> {
        let granted = Arc::clone(&self.table.get(&model)?.grant);
        let attached = match self.granted_adapter(&granted, &source) {
            Ok(grant) => self.attach(&model, grant).await?,
            Err(error) => Err(error),
        };
        self.reply_handle(attached)
    }

    async fn merge_adapter(
        &mut self,
        model: Resource<LoadedModel>,
        name: String,
    ) -> HostResult<u64> {
        let merged = self.merge(&model, name).await?;
        self.reply(merged)
    }

    async fn unmerge_adapter(
        &mut self,
        model: Resource<LoadedModel>,
        name: String,
    ) -> HostResult<u64> {
        let unmerged = self.unmerge(&model, name).await?;
        self.reply(unmerged)
    }

    async fn detach_adapter(
        &mut self,
        model: Resource<LoadedModel>,
        name: String,
    ) -> HostResult<()> {
        let detached = self.detach(&model, name).await?;
        self.reply(detached)
    }

    async fn use_adapter(
        &mut self,
        model: Resource<LoadedModel>,
        name: Option<String>,
    ) -> HostResult<()> {
        let used = move |model: &mut Model| model.use_adapter(name.as_deref());
        let used = self.with_adapters(&model, "use adapter", used).await?;
        self.reply(used)
    }

    fn adapters(
        &mut self,
        model: Resource<LoadedModel>,
    ) -> wasmtime::Result<Vec<Resource<ActiveAdapter>>> {
        let adapters = self.table.get(&model)?.adapters.all().to_vec();
        self.new_handles(adapters)
    }

    async fn drop(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<()> {
        let thread = self.table.delete(model)?.thread;
        self.run.engines.release(thread, &self.run.stop).await;
        Ok(())
    }
}

impl StoreData {
    fn info_of(&self, model: &Resource<LoadedModel>) -> wasmtime::Result<&ModelInfo> {
        Ok(self.table.get(model)?.thread.info())
    }
}
