//! The adapters of a model in `models.wit`. Each change is a phase of its own and a line of the journal.

use crate::{
    bindings::models,
    error::{CallResult, Refusal},
    grants::{AdapterGrant, ModelGrant},
    loaded_model::{AttachedAdapters, LoadedModel},
    store_data::StoreData,
};
use llem_engine::{ActiveAdapter, Adapter, AdapterMode, AdapterSource, Model};
use llem_record::{AdapterChange, AdapterRecord, Event};
use std::{sync::Arc, time::Duration};
use wasmtime::component::Resource;

/// The most adapters that may be attached to a model at a time.
const ADAPTERS: usize = 256;

impl models::HostAdapter for StoreData {
    fn name(&mut self, adapter: Resource<ActiveAdapter>) -> wasmtime::Result<String> {
        Ok(self.table.get(&adapter)?.adapter.name.clone())
    }

    fn source(&mut self, adapter: Resource<ActiveAdapter>) -> wasmtime::Result<String> {
        Ok(self.table.get(&adapter)?.adapter.source.clone())
    }

    fn digest(&mut self, adapter: Resource<ActiveAdapter>) -> wasmtime::Result<String> {
        Ok(self.table.get(&adapter)?.adapter.digest.clone())
    }

    fn base_model(&mut self, adapter: Resource<ActiveAdapter>) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&adapter)?.adapter.base_model.clone())
    }

    fn rank(&mut self, adapter: Resource<ActiveAdapter>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&adapter)?.adapter.rank as u32)
    }

    fn is_dora(&mut self, adapter: Resource<ActiveAdapter>) -> wasmtime::Result<bool> {
        Ok(self.table.get(&adapter)?.adapter.dora)
    }

    fn modules(&mut self, adapter: Resource<ActiveAdapter>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&adapter)?.adapter.modules as u32)
    }

    fn parameters(&mut self, adapter: Resource<ActiveAdapter>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&adapter)?.adapter.parameters)
    }

    fn weight_bytes(&mut self, adapter: Resource<ActiveAdapter>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&adapter)?.adapter.bytes)
    }

    fn flops_per_token(&mut self, adapter: Resource<ActiveAdapter>) -> wasmtime::Result<f64> {
        Ok(self.table.get(&adapter)?.adapter.flops.per_token)
    }

    fn flops_per_logits(&mut self, adapter: Resource<ActiveAdapter>) -> wasmtime::Result<f64> {
        Ok(self.table.get(&adapter)?.adapter.flops.per_logits)
    }

    fn is_merged(&mut self, adapter: Resource<ActiveAdapter>) -> wasmtime::Result<bool> {
        Ok(self.table.get(&adapter)?.mode == AdapterMode::Merged)
    }

    fn attach_time(&mut self, adapter: Resource<ActiveAdapter>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&adapter)?.adapter.attach_time.as_nanos() as u64)
    }

    fn drop(&mut self, adapter: Resource<ActiveAdapter>) -> wasmtime::Result<()> {
        self.table.delete(adapter)?;
        Ok(())
    }
}

impl StoreData {
    /// Finds the adapter that a script may attach to a model by this name or source.
    pub(crate) fn granted_adapter(
        &self,
        model: &ModelGrant,
        name: &str,
    ) -> Result<AdapterGrant, Refusal> {
        let is_called =
            |grant: &&AdapterGrant| grant.name() == name || grant.source.is_called(name);
        if let Some(grant) = model.adapters.iter().find(is_called) {
            return Ok(grant.clone());
        }
        match AdapterSource::synthetic(name) {
            Some(source) => Ok(AdapterGrant { model: None, name: None, source: source? }),
            None => {
                let is_default = model.name == self.run.settings.models.default_model().name;
                let of = if is_default { String::new() } else { format!("{}:", model.name) };
                Err(Refusal::NotGranted(format!(
                    "adapter '{name}' is not granted: add --adapter {of}{name}"
                )))
            }
        }
    }

    /// Attaches the adapters that were granted with the model, and merges the first if that was asked.
    pub(crate) async fn attach_granted(&mut self, model: &Resource<LoadedModel>) -> CallResult<()> {
        let granted = Arc::clone(&self.table.get(model)?.grant);
        let mut first = None;
        for grant in &granted.adapters {
            match self.attach(model, grant.clone()).await? {
                Ok(adapted) => first.get_or_insert(adapted.adapter.name.clone()),
                Err(error) => return Ok(Err(error)),
            };
        }
        let Some(name) = first else { return Ok(Ok(())) };
        if granted.merge
            && let Err(error) = self.merge(model, name.clone()).await?
        {
            return Ok(Err(error));
        }
        self.with_adapters(model, "use adapter", move |model| model.use_adapter(Some(&name))).await
    }

    pub(crate) async fn attach(
        &mut self,
        model: &Resource<LoadedModel>,
        grant: AdapterGrant,
    ) -> CallResult<ActiveAdapter> {
        if self.table.get(model)?.adapters.all().len() >= ADAPTERS {
            return Ok(Err(Refusal::LimitReached(format!(
                "{ADAPTERS} adapters are attached to the model, which is the limit: detach one first"
            ))));
        }
        let seed = self.run.settings.seed;
        let attach = move |model: &mut Model| {
            let adapter = model.attach(&grant.source, grant.name.as_deref(), seed)?;
            let time = adapter.attach_time.as_nanos() as u64;
            Ok((adapter, time))
        };
        let attached = self.change(model, "attach", AdapterChange::Attached, attach).await?;
        Ok(attached.map(|(adapter, _)| ActiveAdapter { adapter, mode: AdapterMode::Attached }))
    }

    /// Merges an adapter into the weights. Returns the time that it took, in nanoseconds.
    pub(crate) async fn merge(
        &mut self,
        model: &Resource<LoadedModel>,
        name: String,
    ) -> CallResult<u64> {
        self.rewrite(model, "merge", AdapterChange::Merged, name, Model::merge).await
    }

    /// Takes a merged adapter out of the weights. Returns the time that it took, in nanoseconds.
    pub(crate) async fn unmerge(
        &mut self,
        model: &Resource<LoadedModel>,
        name: String,
    ) -> CallResult<u64> {
        self.rewrite(model, "unmerge", AdapterChange::Unmerged, name, Model::unmerge).await
    }

    async fn rewrite(
        &mut self,
        model: &Resource<LoadedModel>,
        phase: &'static str,
        change: AdapterChange,
        name: String,
        work: fn(&mut Model, &str) -> llem_engine::Result<Duration>,
    ) -> CallResult<u64> {
        let job = move |model: &mut Model| {
            let time = work(model, &name)?;
            Ok((model.adapter(&name)?, time.as_nanos() as u64))
        };
        let rewritten = self.change(model, phase, change, job).await?;
        Ok(rewritten.map(|(_, time)| time))
    }

    pub(crate) async fn detach(
        &mut self,
        model: &Resource<LoadedModel>,
        name: String,
    ) -> CallResult<()> {
        let detach = move |model: &mut Model| {
            let began = llem_clock::now();
            let adapter = model.adapter(&name)?;
            model.detach(&name)?;
            Ok((adapter, llem_clock::elapsed(began).as_nanos() as u64))
        };
        let detached = self.change(model, "detach", AdapterChange::Detached, detach).await?;
        Ok(detached.map(|_| ()))
    }

    /// Changes a model's adapters within a phase of its own, and records the change.
    async fn change(
        &mut self,
        model: &Resource<LoadedModel>,
        phase: &'static str,
        change: AdapterChange,
        job: impl FnOnce(&mut Model) -> llem_engine::Result<(Arc<Adapter>, u64)> + Send + 'static,
    ) -> CallResult<(Arc<Adapter>, u64)> {
        self.run.check_can_work()?;
        let depth = self.run.phases.begin(phase.to_owned())?;
        let changed = self.with_adapters(model, phase, job).await?;
        self.run.phases.end(depth)?;
        if let Ok((adapter, wall_ns)) = &changed {
            let number = self.table.get(model)?.thread.number;
            let record = record(number, adapter, change, *wall_ns);
            self.run.output.write_host_event(Event::Adapter(record))?;
            if change == AdapterChange::Attached {
                let attached = self.run.work.next_adapter();
                let expected = &self.run.settings.expected;
                expected.check_adapter(
                    attached,
                    &adapter.name,
                    &adapter.source,
                    &adapter.digest,
                )?;
                self.run.output.warn_of_files(&adapter.source, &adapter.warnings)?;
            }
        }
        Ok(changed)
    }

    /// Runs `job` on the engine's thread, and updates the host's list of the model's adapters.
    pub(crate) async fn with_adapters<T: Send + 'static>(
        &mut self,
        model: &Resource<LoadedModel>,
        name: &'static str,
        job: impl FnOnce(&mut Model) -> llem_engine::Result<T> + Send + 'static,
    ) -> CallResult<T> {
        let thread = self.table.get(model)?.thread.clone();
        let (done, adapters) = thread
            .call(name, move |model| (job(model), AttachedAdapters::from_model(model)))
            .await?;
        self.table.get_mut(model)?.adapters = adapters;
        Ok(done.map_err(Into::into))
    }
}

fn record(model: u64, adapter: &Adapter, change: AdapterChange, wall_ns: u64) -> AdapterRecord {
    AdapterRecord {
        model: Some(model),
        name: adapter.name.clone(),
        change,
        wall_ns,
        source: adapter.source.clone(),
        digest: adapter.digest.clone(),
        base_model: adapter.base_model.clone(),
        rank: adapter.rank as u32,
        dora: adapter.dora,
        modules: adapter.modules as u32,
        parameters: adapter.parameters,
        weight_bytes: adapter.bytes,
    }
}
