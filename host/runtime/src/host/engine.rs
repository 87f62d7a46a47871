//! `engine.wit`: models.

use super::{adapters, generation::completions, loading, request, types::Told};
use crate::{
    batch::OpenBatch,
    bindings::engine,
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
    state::State,
};
use llem_engine::{
    Info, Model, ModelSource,
    chat::Message,
    score::{Score, ScoreRequest},
};
use llem_record::{Event, event::GenerationRecord};
use std::sync::Arc;
use wasmtime::component::Resource;

impl engine::Host for State {}

impl engine::HostModel for State {
    async fn load(&mut self, options: engine::LoadOptions) -> Told<Resource<LoadedModel>> {
        self.run.begin()?;
        let loaded = self.load_model(options).await?;
        let is_given = loaded.as_ref().is_err_and(|error| error.is_given);
        let loaded = loaded.map_err(|error| error.refusal);
        if is_given { self.told_of_given(loaded) } else { self.told(loaded) }
    }

    fn info(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<engine::ModelInfo> {
        Ok(loading::model_info(self.table.get(&model)?.thread.info()))
    }

    async fn tokenize(&mut self, model: Resource<LoadedModel>, text: String) -> Told<Vec<u32>> {
        self.ask(&model, move |model| model.tokenize(&text)).await
    }

    async fn detokenize(&mut self, model: Resource<LoadedModel>, tokens: Vec<u32>) -> Told<String> {
        self.ask(&model, move |model| model.detokenize(&tokens)).await
    }

    async fn apply_chat_template(
        &mut self,
        model: Resource<LoadedModel>,
        messages: Vec<engine::Message>,
    ) -> Told<String> {
        let messages: Vec<Message> = messages.into_iter().map(Into::into).collect();
        self.ask(&model, move |model| model.apply_chat_template(&messages)).await
    }

    async fn generate(
        &mut self,
        model: Resource<LoadedModel>,
        request: engine::Request,
    ) -> Told<engine::Generation> {
        self.run.begin()?;
        let thread = self.table.get(&model)?.thread.clone();
        let generated = match request::taken(&self.run, request) {
            Ok(asked) => self.generated(&thread, asked).await?,
            Err(refusal) => Err(refusal),
        };
        self.told(generated)
    }

    async fn score(
        &mut self,
        model: Resource<LoadedModel>,
        requests: Vec<engine::ScoreRequest>,
    ) -> Told<Vec<engine::Score>> {
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
    ) -> Told<Vec<engine::Score>> {
        self.scores(&model, Task::Texts(texts, prefix)).await
    }

    async fn open_batch(
        &mut self,
        model: Resource<LoadedModel>,
        options: engine::BatchOptions,
    ) -> Told<Resource<OpenBatch>> {
        let thread = self.table.get(&model)?.thread.clone();
        self.run.begin()?;
        match OpenBatch::open(&self.run, thread, options.into()).await? {
            Ok(batch) => Ok(Ok(self.hand_out(batch)?)),
            Err(refusal) => Ok(Err(refusal.into())),
        }
    }

    async fn attach_adapter(
        &mut self,
        model: Resource<LoadedModel>,
        source: String,
    ) -> Told<engine::AdapterInfo> {
        let granted = Arc::clone(&self.table.get(&model)?.grant);
        let attached = match self.granted_adapter(&granted, &source) {
            Ok(grant) => self.attach(&model, grant).await?,
            Err(error) => Err(error),
        };
        match attached {
            Err(Refusal::LimitReached(_)) => self.told(attached),
            attached => self.told_of_given(attached),
        }
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
    ) -> wasmtime::Result<Vec<engine::AdapterInfo>> {
        Ok(self.table.get(&model)?.adapters.all().iter().map(adapters::seen).collect())
    }

    async fn drop(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<()> {
        let thread = self.table.delete(model)?.thread;
        self.run.engines.let_go(thread, &self.run.stop).await;
        Ok(())
    }
}

/// Why a model was not loaded.
struct NotLoaded {
    refusal: Refusal,
    /// Whether something that was given to the run is at fault.
    is_given: bool,
}

impl From<Refusal> for NotLoaded {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, is_given: true }
    }
}

impl State {
    /// Loads a model, in a phase of its own, with the adapters that were granted with it.
    async fn load_model(
        &mut self,
        options: engine::LoadOptions,
    ) -> wasmtime::Result<Result<Resource<LoadedModel>, NotLoaded>> {
        let loading::Asked { grant, load: options } = match loading::options(&self.run, options) {
            Ok(asked) => asked,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        let most = self.run.settings.limits.models;
        if self.run.engines.count() >= most {
            let refusal = Refusal::LimitReached(format!(
                "{most} models are held already: drop one first; --max-models raises the limit"
            ));
            return Ok(Err(NotLoaded { refusal, is_given: false }));
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
                let is_given = error.is_input();
                return Ok(Err(NotLoaded { refusal: error.into(), is_given }));
            }
        };
        self.run.hold(loading, &mut thread);
        self.record_model(thread.info(), thread.number, seed)?;
        let model = self.hand_out(LoadedModel { thread, grant, adapters: Adapters::default() })?;
        if is_granted && let Err(refusal) = self.attach_granted(&model).await? {
            engine::HostModel::drop(self, model).await?;
            return Ok(Err(refusal.into()));
        }
        Ok(Ok(model))
    }

    /// Writes down a model, and what a reader must know of it.
    fn record_model(&self, info: &Info, number: u64, seed: Option<u64>) -> wasmtime::Result<()> {
        let mut record = loading::model_record(info, Some(number));
        record.seed = seed;
        self.run.output.keep(Event::Model(record))?;
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
    async fn generated(
        &mut self,
        thread: &EngineThread,
        asked: Asked,
    ) -> Answer<engine::Generation> {
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
        let answer = engine::Generation {
            completions: completions(&generation, &sequences),
            prefill_time: window.activity.prefill_ns,
            decode_time: window.activity.decode_ns,
            measurement: (&window).into(),
        };
        record.number = run.work.next_request();
        let (model, request) = (Some(thread.number), Some(record));
        let record = GenerationRecord { window, model, request, times, sequences };
        run.output.keep(Event::Generation(record))?;
        // The request is recorded as far as it came; then the run ends.
        run.check_stop()?;
        Ok(generation.failure.map_or(Ok(answer), |error| Err(error.into())))
    }

    /// Asks a model something that is not measured.
    async fn ask<T: Send + 'static>(
        &mut self,
        model: &Resource<LoadedModel>,
        job: impl FnOnce(&mut Model) -> llem_engine::Result<T> + Send + 'static,
    ) -> Told<T> {
        let thread = self.table.get(model)?.thread.clone();
        let answer = thread.call(job).await?.map_err(Into::into);
        self.told(answer)
    }

    /// Scores on the engine's thread, measured there, and records it.
    async fn scores(
        &mut self,
        model: &Resource<LoadedModel>,
        task: Task,
    ) -> Told<Vec<engine::Score>> {
        self.run.begin()?;
        let _working = self.run.stop.working();
        let thread = self.table.get(model)?.thread.clone();
        let (run, number) = (Arc::clone(&self.run), thread.number);
        let scored =
            match thread.call(move |model| scoring::measure(model, &run, number, task)).await?? {
                Ok(measured) => scoring::record(&self.run, &thread, measured)?,
                Err(error) => Err(error.into()),
            };
        let seen = |score: Score| engine::Score {
            log_likelihoods: score.log_likelihoods,
            is_greedy: score.is_greedy,
        };
        self.told(scored.map(|scores| scores.into_iter().map(seen).collect()))
    }
}
