//! `engine.wit`: models.

use super::{
    adapters::Adapters,
    batch::{self, OpenBatch},
    loading,
    types::Answer,
};
use crate::{
    asked,
    bindings::{engine, types::Error},
    engine_thread::EngineThread,
    measure::{self, Measured},
    measurement::{Before, closed},
    scoring::{self, Task},
    state::State,
};
use llem_engine::{Info, Model, ModelSource, chat::Message, score::ScoreRequest};
use llem_record::{Event, event::GenerationRecord};
use std::sync::Arc;
use wasmtime::component::Resource;

/// A model that a script holds.
pub struct LoadedModel {
    pub(super) thread: EngineThread,
    /// As they were when something was last done with them.
    pub(super) adapters: Adapters,
}

impl engine::Host for State {}

impl engine::HostModel for State {
    async fn load(&mut self, options: engine::LoadOptions) -> Answer<Resource<LoadedModel>> {
        let options = match loading::options(&self.run, options) {
            Ok(options) => options,
            Err(error) => return Ok(Err(self.blame(error))),
        };
        let is_granted = options.source == self.run.model.source;
        let depth = self.run.begin_phase("load".to_owned())?;
        // Counters tick while the model loads, so that their periods are known by the first window.
        self.run.meter();
        let seed = matches!(options.source, ModelSource::Synthetic(_)).then_some(options.seed);
        // While it is loaded its devices work, whatever comes of it.
        let devices = options.devices().unwrap_or_default();
        let metered = |id: String| self.run.meter().device_of(&id).unwrap_or(id);
        let devices = devices.iter().map(|device| metered(device.to_string())).collect();
        let loading = self.run.progress().holdings.loading(devices);
        let loaded = tokio::select! {
            loaded = EngineThread::load(options) => loaded?,
            _ = self.run.stop.requested() => {
                self.run.check_stop()?;
                return Ok(Err(Error::Failed("loading was interrupted".to_owned())));
            }
        };
        self.run.end_phases(depth)?;
        match loaded {
            Ok(mut thread) => {
                thread.number = self.run.hold(loading, thread.info());
                let mut record = loading::model_record(thread.info(), Some(thread.number));
                record.seed = seed;
                self.run.output.write(Event::Model(record))?;
                if thread.info().stands_in {
                    let Info { source, device, .. } = thread.info();
                    let message = format!(
                        "{source} counts as being on {device} and is computed by the CPU, as its llem_stand_in says"
                    );
                    self.run.output.write(Event::Warning { message })?;
                }
                let warned = self.run.progress().warned_of_replicas;
                if let Some(message) = loading::warning(thread.info()).filter(|_| !warned) {
                    self.run.progress().warned_of_replicas = true;
                    self.run.output.write(Event::Warning { message })?;
                }
                self.run.progress().engines.push(thread.clone());
                let loaded = LoadedModel { thread, adapters: Adapters::default() };
                let model = self.hand_out(loaded)?;
                if is_granted && let Err(error) = self.attach_granted(&model).await? {
                    engine::HostModel::drop(self, model).await?;
                    return Ok(Err(self.blame(error)));
                }
                Ok(Ok(model))
            }
            Err(error) => {
                self.run.progress().holdings.failed(loading);
                let is_input = error.is_input();
                let error = error.into();
                Ok(Err(if is_input { self.blame(error) } else { error }))
            }
        }
    }

    fn info(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<engine::ModelInfo> {
        Ok(loading::model_info(self.table.get(&model)?.thread.info()))
    }

    async fn tokenize(&mut self, model: Resource<LoadedModel>, text: String) -> Answer<Vec<u32>> {
        self.ask(&model, move |model| model.tokenize(&text)).await
    }

    async fn detokenize(
        &mut self,
        model: Resource<LoadedModel>,
        tokens: Vec<u32>,
    ) -> Answer<String> {
        self.ask(&model, move |model| model.detokenize(&tokens)).await
    }

    async fn apply_chat_template(
        &mut self,
        model: Resource<LoadedModel>,
        messages: Vec<engine::Message>,
    ) -> Answer<String> {
        let messages: Vec<Message> = messages.into_iter().map(measure::message).collect();
        self.ask(&model, move |model| model.apply_chat_template(&messages)).await
    }

    async fn generate(
        &mut self,
        model: Resource<LoadedModel>,
        request: engine::Request,
    ) -> Answer<engine::Generation> {
        self.run.check_stop()?;
        self.run.output.charge(asked::size(&self.run, &request))?;
        let request = Arc::new(request);
        let thread = self.table.get(&model)?.thread.clone();
        let run = Arc::clone(&self.run);
        let asked = Arc::clone(&request);
        let measured = thread.call(move |model| measure::generate(model, &run, &asked)).await?;
        let Measured { first_stream, generation, span, times, communication } = match measured {
            Ok(measured) => measured,
            Err(error) => return Ok(Err(error.into())),
        };
        let before = Before::now(&self.run);
        self.run.progress().activity.add(&measure::activity(thread.info(), &generation));
        let held = self.run.held_by(&thread);
        let energies = measure::share_out(&self.run, thread.info(), &generation, &span, &held);
        let [sent, received] = communication;
        let ranks = received.since(&sent);
        let (window, measurement) = closed(&self.run, &request.label, &span, &before, held, ranks)?;
        let sequences = measure::sequences(&self.run, &generation, energies);
        let answer = engine::Generation {
            completions: measure::completions(&generation, &sequences),
            prefill_time: window.activity.prefill_ns,
            decode_time: window.activity.decode_ns,
            measurement,
        };
        let (model, asked) = (thread.number, asked::record(&self.run, &request, first_stream));
        let (model, request) = (Some(model), Some(asked));
        let record = GenerationRecord { window, model, request, times, sequences };
        self.run.output.write(Event::Generation(record))?;
        // The request is recorded as far as it came; then the run ends.
        self.run.check_stop()?;
        let answer = generation.failure.map_or(Ok(answer), |error| Err(error.into()));
        self.run.went_on_if(&answer);
        Ok(answer)
    }

    async fn score(
        &mut self,
        model: Resource<LoadedModel>,
        requests: Vec<engine::ScoreRequest>,
    ) -> Answer<Vec<engine::Score>> {
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
    ) -> Answer<Vec<engine::Score>> {
        self.scores(&model, Task::Texts(texts, prefix)).await
    }

    async fn open_batch(
        &mut self,
        model: Resource<LoadedModel>,
        options: engine::BatchOptions,
    ) -> Answer<Resource<OpenBatch>> {
        let thread = self.table.get(&model)?.thread.clone();
        match batch::open(&self.run, thread, options).await? {
            Ok(batch) => Ok(Ok(self.hand_out(batch)?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn attach_adapter(
        &mut self,
        model: Resource<LoadedModel>,
        source: String,
    ) -> Answer<engine::AdapterInfo> {
        let attached = match self.granted_adapter(&source) {
            Ok(grant) => self.attach(&model, grant).await?,
            Err(error) => Err(error),
        };
        Ok(attached.map_err(|error| self.blame(error)))
    }

    async fn merge_adapter(&mut self, model: Resource<LoadedModel>, name: String) -> Answer<u64> {
        self.merge(&model, name).await
    }

    async fn unmerge_adapter(&mut self, model: Resource<LoadedModel>, name: String) -> Answer<u64> {
        self.unmerge(&model, name).await
    }

    async fn detach_adapter(&mut self, model: Resource<LoadedModel>, name: String) -> Answer<()> {
        self.detach(&model, name).await
    }

    async fn use_adapter(
        &mut self,
        model: Resource<LoadedModel>,
        name: Option<String>,
    ) -> Answer<()> {
        self.with_adapters(&model, move |model| model.use_adapter(name.as_deref())).await
    }

    fn adapters(
        &mut self,
        model: Resource<LoadedModel>,
    ) -> wasmtime::Result<Vec<engine::AdapterInfo>> {
        Ok(self.table.get(&model)?.adapters.infos())
    }

    async fn drop(&mut self, model: Resource<LoadedModel>) -> wasmtime::Result<()> {
        let thread = self.table.delete(model)?.thread;
        self.run.let_go(thread).await;
        Ok(())
    }
}

impl State {
    /// Asks a model something that is not measured.
    async fn ask<T: Send + 'static>(
        &mut self,
        model: &Resource<LoadedModel>,
        job: impl FnOnce(&mut Model) -> llem_engine::Result<T> + Send + 'static,
    ) -> Answer<T> {
        let thread = self.table.get(model)?.thread.clone();
        let answer = thread.call(job).await?.map_err(Into::into);
        self.run.went_on_if(&answer);
        Ok(answer)
    }

    /// Scores on the engine's thread, measured there, and records it.
    async fn scores(
        &mut self,
        model: &Resource<LoadedModel>,
        task: Task,
    ) -> Answer<Vec<engine::Score>> {
        self.run.check_stop()?;
        let thread = self.table.get(model)?.thread.clone();
        let run = Arc::clone(&self.run);
        let number = thread.number;
        match thread.call(move |model| scoring::measure(model, &run, number, task)).await?? {
            Ok(measured) => {
                let answer = scoring::record(&self.run, &thread, measured)?;
                self.run.went_on_if(&answer);
                Ok(answer)
            }
            Err(error) => Ok(Err(error.into())),
        }
    }
}
