//! `engine.wit`, the adapters of a model: each change is a phase of its own and a line of the journal.

use super::{engine::LoadedModel, types::Answer};
use crate::{
    bindings::{engine, types::Error},
    plan::AdapterGrant,
    state::State,
};
use llem_engine::{
    AdapterSource, Model,
    adapters::{Adapted, Adapter, Mode},
};
use llem_record::{
    Event,
    event::{AdapterChange, AdapterRecord},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use wasmtime::component::Resource;

/// The adapters of a model, as the guest's side knows them.
#[derive(Default)]
pub struct Adapters {
    all: Vec<Adapted>,
}

impl Adapters {
    fn of(model: &Model) -> Self {
        Self { all: model.adapters().collect() }
    }

    /// The adapter of that name.
    pub fn find(&self, name: &str) -> Result<&Adapted, Error> {
        let found = self.all.iter().find(|adapted| adapted.adapter.name == name);
        found.ok_or_else(|| Error::NotFound(format!("no adapter '{name}' is attached")))
    }

    /// As the guest sees them.
    pub fn infos(&self) -> Vec<engine::AdapterInfo> {
        self.all.iter().map(|adapted| info(&adapted.adapter, adapted.mode)).collect()
    }
}

impl State {
    /// The adapter that a script may attach under this name or source.
    pub fn granted_adapter(&self, source: &str) -> Result<AdapterGrant, Error> {
        let granted = &self.run.model.adapters;
        if let Some(grant) = granted.iter().find(|grant| grant.name() == source) {
            return Ok(grant.clone());
        }
        let parsed: AdapterSource = source.parse()?;
        if let Some(grant) = granted.iter().find(|grant| grant.source == parsed) {
            return Ok(grant.clone());
        }
        match parsed {
            AdapterSource::Synthetic(_) => Ok(AdapterGrant { name: None, source: parsed }),
            _ => Err(Error::NotGranted(format!(
                "adapter '{source}' is not granted: add --adapter {source}"
            ))),
        }
    }

    /// Attaches what was given with the model, and merges the first if that was asked.
    pub async fn attach_granted(&mut self, model: &Resource<LoadedModel>) -> Answer<()> {
        let run = Arc::clone(&self.run);
        let mut first = None;
        for grant in &run.model.adapters {
            match self.attach(model, grant.clone()).await? {
                Ok(info) => first.get_or_insert(info.name),
                Err(error) => return Ok(Err(error)),
            };
        }
        let Some(name) = first else { return Ok(Ok(())) };
        if run.model.merge
            && let Err(error) = self.merge(model, name.clone()).await?
        {
            return Ok(Err(error));
        }
        self.with_adapters(model, move |model| model.use_adapter(Some(&name))).await
    }

    /// Attaches an adapter.
    pub async fn attach(
        &mut self,
        model: &Resource<LoadedModel>,
        grant: AdapterGrant,
    ) -> Answer<engine::AdapterInfo> {
        let seed = self.run.seed;
        let attach = move |model: &mut Model| {
            let adapter = model.attach(&grant.source, grant.name.as_deref(), seed)?;
            let time = adapter.attach_time.as_nanos() as u64;
            Ok((adapter, time))
        };
        let attached = self.change(model, "attach", AdapterChange::Attached, attach).await?;
        Ok(attached.map(|(adapter, _)| info(&adapter, Mode::Attached)))
    }

    /// Puts an adapter into the weights.
    pub async fn merge(&mut self, model: &Resource<LoadedModel>, name: String) -> Answer<u64> {
        self.rewrite(model, "merge", AdapterChange::Merged, name, Model::merge).await
    }

    /// Takes an adapter out of the weights.
    pub async fn unmerge(&mut self, model: &Resource<LoadedModel>, name: String) -> Answer<u64> {
        self.rewrite(model, "unmerge", AdapterChange::Unmerged, name, Model::unmerge).await
    }

    async fn rewrite(
        &mut self,
        model: &Resource<LoadedModel>,
        phase: &str,
        change: AdapterChange,
        name: String,
        work: fn(&mut Model, &str) -> llem_engine::Result<Duration>,
    ) -> Answer<u64> {
        let job = move |model: &mut Model| {
            let time = work(model, &name)?;
            Ok((model.adapter(&name)?, time.as_nanos() as u64))
        };
        let rewritten = self.change(model, phase, change, job).await?;
        Ok(rewritten.map(|(_, time)| time))
    }

    /// Takes an adapter off.
    pub async fn detach(&mut self, model: &Resource<LoadedModel>, name: String) -> Answer<()> {
        let detach = move |model: &mut Model| {
            let began = Instant::now();
            let adapter = model.adapter(&name)?;
            model.detach(&name)?;
            Ok((adapter, began.elapsed().as_nanos() as u64))
        };
        let detached = self.change(model, "detach", AdapterChange::Detached, detach).await?;
        Ok(detached.map(|_| ()))
    }

    /// Does something with a model's adapters, in a phase of its own, and writes it down.
    async fn change(
        &mut self,
        model: &Resource<LoadedModel>,
        phase: &str,
        change: AdapterChange,
        job: impl FnOnce(&mut Model) -> llem_engine::Result<(Arc<Adapter>, u64)> + Send + 'static,
    ) -> Answer<(Arc<Adapter>, u64)> {
        self.run.check_stop()?;
        let depth = self.run.begin_phase(phase.to_owned())?;
        let changed = self.with_adapters(model, job).await?;
        self.run.end_phases(depth)?;
        if let Ok((adapter, wall_ns)) = &changed {
            let number = self.table.get(model)?.thread.number;
            let record = record(number, adapter, change, *wall_ns);
            self.run.output.charge(record.source.len() + record.name.len())?;
            self.run.output.write(Event::Adapter(record))?;
        }
        Ok(changed)
    }

    /// Does something with a model's adapters, and keeps what they are then.
    pub async fn with_adapters<T: Send + 'static>(
        &mut self,
        model: &Resource<LoadedModel>,
        job: impl FnOnce(&mut Model) -> llem_engine::Result<T> + Send + 'static,
    ) -> Answer<T> {
        let thread = self.table.get(model)?.thread.clone();
        let (done, adapters) = thread.call(move |model| (job(model), Adapters::of(model))).await?;
        self.table.get_mut(model)?.adapters = adapters;
        let done = done.map_err(Into::into);
        self.run.went_on_if(&done);
        Ok(done)
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

fn info(adapter: &Adapter, mode: Mode) -> engine::AdapterInfo {
    engine::AdapterInfo {
        name: adapter.name.clone(),
        source: adapter.source.clone(),
        digest: adapter.digest.clone(),
        base_model: adapter.base_model.clone(),
        rank: adapter.rank as u32,
        dora: adapter.dora,
        modules: adapter.modules as u32,
        parameters: adapter.parameters,
        weight_bytes: adapter.bytes,
        flops_per_token: adapter.flops.per_token,
        flops_per_logits: adapter.flops.per_logits,
        merged: mode == Mode::Merged,
        attach_time: adapter.attach_time.as_nanos() as u64,
    }
}
