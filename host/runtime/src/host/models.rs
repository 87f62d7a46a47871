//! `models.wit`: models.

use super::{loading, requests, types::Told};
use crate::{
    batch::OpenBatch,
    bindings::{generations, models},
    engine_thread::EngineThread,
    error::{Answer, Refusal},
    measure::{
        Asked,
        generation::{self, Measured},
        scoring::{self, Task},
        sequence,
        window::{Before, closed},
    },
    models::{Adapters, LoadedModel},
    resources::{Draft, Generated, LoadDraft, Measurement, Scored},
    state::State,
};
use llem_engine::{
    Info, Model, ModelSource, Split, TextTools,
    adapters::Adapted,
    batch::BatchOptions,
    model::RankInfo,
    score::{Score, ScoreRequest},
};
use llem_record::{
    Event,
    event::{GenerationRecord, WindowRecord},
};
use std::sync::Arc;
use wasmtime::component::Resource;

impl models::Host for State {}

impl models::HostModel for State {
    async fn load(&mut self, options: Resource<LoadDraft>) -> Told<Resource<LoadedModel>> {
        self.run.begin()?;
        let options = self.table.get(&options)?.clone();
        let loaded = self.load_model(options).await?;
        self.told(loaded)
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
            device: rank.place(),
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
        tokenizer.map(|tokenizer| self.hand_out(tokenizer)).transpose()
    }

    async fn generate(
        &mut self,
        model: Resource<LoadedModel>,
        request: Resource<Draft>,
    ) -> Told<Resource<Generated>> {
        self.run.begin()?;
        let thread = self.table.get(&model)?.thread.clone();
        let generated = match requests::taken(&self.run, self.table.get(&request)?) {
            Ok(asked) => self.generated(&thread, asked).await?,
            Err(refusal) => Err(refusal),
        };
        self.handed_out(generated)
    }

    async fn score(
        &mut self,
        model: Resource<LoadedModel>,
        requests: Vec<generations::ScoreRequest>,
    ) -> Told<Resource<Scored>> {
        let requests = requests.into_iter().map(|request| ScoreRequest {
            context: request.context,
            continuation: request.continuation,
        });
        self.scores(&model, Task::Continuations(requests.collect())).await
    }

    async fn score_rolling(
        &mut self,
        model: Resource<LoadedModel>,
        texts: Vec<Vec<u32>>,
        prefix: u32,
    ) -> Told<Resource<Scored>> {
        self.scores(&model, Task::Texts(texts, prefix)).await
    }

    async fn open_batch(
        &mut self,
        model: Resource<LoadedModel>,
        options: Resource<BatchOptions>,
    ) -> Told<Resource<OpenBatch>> {
        let thread = self.table.get(&model)?.thread.clone();
        let options = self.table.get(&options)?.clone();
        self.run.begin()?;
        let opened = OpenBatch::open(&self.run, thread, options).await?;
        self.handed_out(opened)
    }

    async fn attach_adapter(
        &mut self,
        model: Resource<LoadedModel>,
        source: String,
    ) -> Told<Resource<Adapted>> {
        let granted = Arc::clone(&self.table.get(&model)?.grant);
        let attached = match self.granted_adapter(&granted, &source) {
            Ok(grant) => self.attach(&model, grant).await?,
            Err(error) => Err(error),
        };
        self.handed_out(attached)
    }

    async fn merge_adapter(&mut self, model: Resource<LoadedModel>, name: String) -> Told<u64> {
        let merged = self.merge(&model, name).await?;
        self.told(merged)
    }

    async fn unmerge_adapter(&mut self, model: Resource<LoadedModel>, name: String) -> Told<u64> {
        let unmerged = self.unmerge(&model, name).await?;
        self.told(unmerged)
    }

    async fn detach_adapter(&mut self, model: Resource<LoadedModel>, name: String) -> Told<()> {
        let detached = self.detach(&model, name).await?;
        self.told(detached)
    }

    async fn use_adapter(
        &mut self,
        model: Resource<LoadedModel>,
        name: Option<String>,
    ) -> Told<()> {
        let used = move |model: &mut Model| model.use_adapter(name.as_deref());
        let used = self.with_adapters(&model, used).await?;
        self.told(used)
    }

    fn adapters(
        &mut self,
        model: Resource<LoadedModel>,
    ) -> wasmtime::Result<Vec<Resource<Adapted>>> {
        let adapters = self.table.get(&model)?.adapters.all().to_vec();
        self.hand_out_all(adapters)
    }

    async fn drop(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<()> {
        let thread = self.table.delete(model)?.thread;
        self.run.engines.let_go(thread, &self.run.stop).await;
        Ok(())
    }
}

impl State {
    fn info_of(&self, model: &Resource<LoadedModel>) -> wasmtime::Result<&Info> {
        Ok(self.table.get(model)?.thread.info())
    }

    /// Loads a model, in a phase of its own, with the adapters that were granted with it.
    async fn load_model(&mut self, options: LoadDraft) -> Answer<Resource<LoadedModel>> {
        let loading::Asked { grant, load: options } = match loading::options(&self.run, options) {
            Ok(asked) => asked,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let most = self.run.settings.limits.models;
        if self.run.engines.count() >= most {
            let refusal = Refusal::LimitReached(format!(
                "{most} models are held already: drop one first; --max-models raises the limit"
            ));
            return Ok(Err(refusal));
        }
        let is_granted = options.source == grant.source;
        let depth = self.run.phases.begin("load".to_owned())?;
        // Counters tick while the model loads, so that their periods are known by the first window.
        self.run.meter();
        let seed = matches!(options.source, ModelSource::Synthetic(_)).then_some(options.seed);
        // While it is loaded its devices work, whatever comes of it.
        let devices = options.devices().unwrap_or_default();
        let devices = devices.iter().map(|device| self.run.meters_as(device.to_string())).collect();
        let loading = self.run.engines.loading(devices);
        let loaded = EngineThread::load(options).await?;
        self.run.phases.end(depth)?;
        let mut thread = match loaded {
            Ok(thread) => thread,
            Err(error) => {
                self.run.engines.failed(loading);
                return Ok(Err(error.into()));
            }
        };
        self.run.hold(loading, &mut thread);
        self.record_model(thread.info(), thread.number, seed)?;
        let model = self.hand_out(LoadedModel { thread, grant, adapters: Adapters::default() })?;
        if is_granted && let Err(refusal) = self.attach_granted(&model).await? {
            models::HostModel::drop(self, model).await?;
            return Ok(Err(refusal));
        }
        Ok(Ok(model))
    }

    /// Writes down a model, and what a reader must know of it.
    fn record_model(&self, info: &Info, number: u64, seed: Option<u64>) -> wasmtime::Result<()> {
        let mut record = loading::model_record(info, number);
        record.seed = seed;
        self.run.output.keep(Event::Model(record))?;
        self.run.output.warn_of_files(&info.source, &info.warnings)?;
        if info.stands_in {
            let Info { source, device, .. } = info;
            let message = format!(
                "{source} counts as being on {device} and is computed by the CPU, as its llem_stand_in says"
            );
            self.run.output.keep(Event::Warning { message })?;
        }
        match loading::warning(info).filter(|_| self.run.engines.warns_of_replicas()) {
            Some(message) => self.run.output.keep(Event::Warning { message }),
            None => Ok(()),
        }
    }

    /// Serves a request and records it as far as it came.
    async fn generated(&mut self, thread: &EngineThread, asked: Asked) -> Answer<Generated> {
        let _working = self.run.stop.working();
        let Asked { label, request, mut record } = asked;
        let (run, name) = (Arc::clone(&self.run), label.clone());
        let work = move |model: &mut Model| generation::generate(model, &run, &name, request);
        let Measured { generation, span, times, communication: [sent, received] } =
            match thread.call(work).await? {
                Ok(measured) => measured,
                Err(error) => return Ok(Err(error.into())),
            };
        let run = &self.run;
        let before = Before::now(run);
        run.work.done().activity.add(&generation::activity(thread.info(), &generation));
        let held = run.held_by(thread);
        let energies = generation::share_out(run, thread.info(), &generation, &span, &held);
        let window = closed(run, &label, &span, &before, held, received.since(&sent))?;
        let sequences = sequence::sequences(run, &generation, energies);
        let (prefill_ns, decode_ns) = (window.activity.prefill_ns, window.activity.decode_ns);
        let named = (0..).zip(generation.completions).zip(sequences.iter().cloned());
        let completions: wasmtime::Result<Vec<_>> = named
            .map(|((name, completion), record)| self.completed(name, completion, record))
            .collect();
        let completions = completions?.into();
        let measurement = Measurement(Arc::new(window.clone()));
        let answer = Generated { completions, prefill_ns, decode_ns, measurement };
        record.number = run.work.next_request();
        let (model, request) = (Some(thread.number), Some(record));
        let record = GenerationRecord { window, model, request, times, sequences };
        run.output.keep(Event::Generation(record))?;
        // The request is recorded as far as it came; then the run ends.
        run.check_stop()?;
        Ok(generation.failure.map_or(Ok(answer), |error| Err(error.into())))
    }

    /// Scores on the engine's thread, measured there, and records it.
    async fn scores(
        &mut self,
        model: &Resource<LoadedModel>,
        task: Task,
    ) -> Told<Resource<Scored>> {
        self.run.begin()?;
        let (run, thread) = (Arc::clone(&self.run), self.table.get(model)?.thread.clone());
        let _working = run.stop.working();
        let (at_work, number) = (Arc::clone(&run), thread.number);
        let measure = move |model: &mut Model| scoring::measure(model, &at_work, number, task);
        let scored = match thread.call(measure).await?? {
            Ok(measured) => scoring::record(&self.run, &thread, measured)?,
            Err(error) => Err(error.into()),
        };
        let scored = match scored {
            Ok((scores, window)) => Ok(self.scored(scores, window)?),
            Err(refusal) => Err(refusal),
        };
        self.handed_out(scored)
    }

    fn scored(&self, scores: Vec<Score>, window: WindowRecord) -> wasmtime::Result<Scored> {
        let bytes = |score: &Score| size_of::<Score>() + size_of_val(&score.log_likelihoods[..]);
        let charge = self.kept.charge(scores.iter().map(bytes).sum())?;
        Ok(Scored { scores, measurement: Measurement(Arc::new(window)), charge })
    }
}
