//! The long calls of the resource `model` in `models.wit`: loading, generating and scoring, each with its record.

use super::{load_options, types::HostResult};
use crate::{
    bindings::models,
    engine_thread::EngineThread,
    error::{CallResult, Refusal},
    loaded_model::{AttachedAdapters, LoadedModel},
    resources::{GenerationResult, LoadOptionsDraft, Measurement, ScoringResult},
    store_data::StoreData,
    window::{
        ScriptRequest,
        generation::{self, MeasuredGeneration},
        scoring::{self, ScoringTask},
        sequence_record,
        window_record::{WorkSnapshot, window_record},
    },
};
use llem_engine::{Model, ModelInfo, ModelSource, Score};
use llem_record::{Event, GenerationRecord, WindowRecord};
use std::sync::Arc;
use wasmtime::component::Resource;

impl StoreData {
    /// Loads a model within a phase of its own, and attaches the adapters that were granted with it.
    pub(super) async fn load_model(
        &mut self,
        options: LoadOptionsDraft,
    ) -> CallResult<Resource<LoadedModel>> {
        let load_options::GrantedLoad { grant, load: options } =
            match load_options::granted_load(&self.run, options) {
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
        // Starting the meter here lets counters tick while the model loads, so that their periods are known to the
        // first window.
        self.run.meter();
        let seed = matches!(options.source, ModelSource::Synthetic(_)).then_some(options.seed);
        // The devices work while the model is loaded, even if loading fails.
        let devices = options.devices().unwrap_or_default();
        let devices =
            devices.iter().map(|device| self.run.metered_device(device.to_string())).collect();
        let loading = self.run.engines.begin_loading(devices);
        let loaded = EngineThread::load(options).await?;
        self.run.phases.end(depth)?;
        let mut thread = match loaded {
            Ok(thread) => thread,
            Err(error) => {
                self.run.engines.fail_loading(loading);
                return Ok(Err(error.into()));
            }
        };
        self.run.add_model(loading, &mut thread);
        self.record_model(thread.info(), &grant.name, thread.number, seed)?;
        let model =
            self.new_handle(LoadedModel { thread, grant, adapters: AttachedAdapters::default() })?;
        if is_granted && let Err(refusal) = self.attach_granted(&model).await? {
            models::HostModel::drop(self, model).await?;
            return Ok(Err(refusal));
        }
        Ok(Ok(model))
    }

    /// Records a model that was loaded under the name of a grant, and the warnings about it.
    fn record_model(
        &self,
        info: &ModelInfo,
        name: &str,
        number: u64,
        seed: Option<u64>,
    ) -> wasmtime::Result<()> {
        let mut record = load_options::model_record(info, number);
        record.seed = seed;
        self.run.output.write_host_event(Event::Model(record))?;
        let expected = &self.run.settings.expected;
        expected.check_model(number, name, &info.source, &info.digest)?;
        self.run.output.warn_of_files(&info.source, &info.warnings)?;
        if info.stands_in {
            let ModelInfo { source, device, .. } = info;
            let message = format!(
                "{source} counts as being on {device} and is computed by the CPU, as its llem_stand_in says"
            );
            self.run.output.write_host_event(Event::Warning { message })?;
        }
        match load_options::replica_warning(info)
            .filter(|_| self.run.engines.take_replica_warning())
        {
            Some(message) => self.run.output.write_host_event(Event::Warning { message }),
            None => Ok(()),
        }
    }

    /// Serves a request, and records it as far as it came.
    pub(super) async fn generate_recorded(
        &mut self,
        thread: &EngineThread,
        asked: ScriptRequest,
    ) -> CallResult<GenerationResult> {
        let _working = self.run.stop.begin_work();
        let ScriptRequest { label, request, mut record } = asked;
        let (run, name) = (Arc::clone(&self.run), label.clone());
        let work = move |model: &mut Model| generation::generate(model, &run, &name, request);
        let MeasuredGeneration { generation, span, times, communication: [sent, received] } =
            match thread.call("generate", work).await? {
                Ok(measured) => measured,
                Err(error) => return Ok(Err(error.into())),
            };
        let run = &self.run;
        let before = WorkSnapshot::now(run);
        run.work.totals().activity.add(&generation::activity(thread.info(), &generation));
        let held = run.usage_of(thread);
        let energies = generation::share_out(run, thread.info(), &generation, &span, &held);
        let window = window_record(run, &label, &span, &before, held, received.since(&sent))?;
        let sequences = sequence_record::sequences(run, &generation, energies);
        let (prefill_ns, decode_ns) = (window.activity.prefill_ns, window.activity.decode_ns);
        let named = (0..).zip(generation.completions).zip(sequences.iter().cloned());
        let completions: wasmtime::Result<Vec<_>> = named
            .map(|((name, completion), record)| self.completed_sequence(name, completion, record))
            .collect();
        let completions = completions?.into();
        let measurement = Measurement(Arc::new(window.clone()));
        let answer = GenerationResult { completions, prefill_ns, decode_ns, measurement };
        record.number = run.work.next_request();
        let (model, request) = (Some(thread.number), Some(record));
        let record = GenerationRecord { window, model, request, times, sequences };
        run.output.write_host_event(Event::Generation(record))?;
        // The request is recorded as far as it came. Then the run ends.
        run.check_stop()?;
        Ok(generation.failure.map_or(Ok(answer), |error| Err(error.into())))
    }

    /// Scores on the engine's thread, where it is measured, and records the result.
    pub(super) async fn score_recorded(
        &mut self,
        model: &Resource<LoadedModel>,
        task: ScoringTask,
    ) -> HostResult<Resource<ScoringResult>> {
        self.run.check_can_work()?;
        let (run, thread) = (Arc::clone(&self.run), self.table.get(model)?.thread.clone());
        let _working = run.stop.begin_work();
        let (at_work, number) = (Arc::clone(&run), thread.number);
        let measure = move |model: &mut Model| scoring::measure(model, &at_work, number, task);
        let scored = match thread.call("score", measure).await?? {
            Ok(measured) => scoring::record(&self.run, &thread, measured)?,
            Err(error) => Err(error.into()),
        };
        let scored = match scored {
            Ok((scores, window)) => Ok(self.scored(scores, window)?),
            Err(refusal) => Err(refusal),
        };
        self.reply_handle(scored)
    }

    fn scored(&self, scores: Vec<Score>, window: WindowRecord) -> wasmtime::Result<ScoringResult> {
        let bytes = |score: &Score| size_of::<Score>() + size_of_val(&score.log_likelihoods[..]);
        let charge = self.memory.charge(scores.iter().map(bytes).sum())?;
        Ok(ScoringResult { scores, measurement: Measurement(Arc::new(window)), charge })
    }
}
