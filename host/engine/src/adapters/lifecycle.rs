//! Attaching, merging, unmerging and detaching: what happens to a model as a whole.

use super::{Adapted, Adapter, AdapterFlops, AdapterSource};
use crate::{Error, Model, Result, parallel::command::Command};
use llem_checkpoint::DigestOptions;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

impl Model {
    /// Attaches an adapter, unmerged, under `name` or its source's own; a number is added where
    /// that is taken. `seed` is for a synthetic one that names none. On an error nothing is attached.
    pub fn attach(
        &mut self,
        source: &AdapterSource,
        name: Option<&str>,
        seed: u64,
    ) -> Result<Arc<Adapter>> {
        if let Some(merged) = self.adapters.merged() {
            return Err(Error::Invalid(format!(
                "no adapter can be attached while '{}' is merged into the weights: unmerge it first",
                merged.name
            )));
        }
        let mut opened = source.open(seed, &self.digests)?;
        let digest = std::mem::take(&mut opened.digest);
        let started = Instant::now();
        let id = self.adapters.next_id();
        let mut taken = None;
        for index in 0..self.replicas.len() {
            match self.replicas[index].attach(id, source, seed, &mut opened) {
                Ok(attached) => taken = taken.or(Some(attached)),
                Err(error) => {
                    // What went wrong is told, rather than that undoing it did.
                    let _ = self.all(&Command::Detach(id));
                    return Err(error);
                }
            }
            if index + 1 < self.replicas.len() {
                opened = source.open(seed, &DigestOptions::nothing())?;
            }
        }
        let taken = taken.unwrap_or_default();
        let total = taken.added;
        let flops =
            AdapterFlops { per_token: taken.flops_per_token, per_logits: taken.flops_per_logits };
        let config = &opened.tensors.config;
        Ok(self.adapters.add(Adapter {
            id,
            name: self.adapters.free_name(name.unwrap_or(&source.name())),
            source: opened.source,
            digest,
            base_model: config.base_model.clone().filter(|name| !name.is_empty()),
            rank: total.rank,
            dora: config.dora,
            modules: total.modules,
            parameters: total.parameters,
            bytes: total.bytes,
            flops,
            attach_time: started.elapsed(),
            warnings: opened.tensors.warnings(&taken.leftovers),
        }))
    }

    /// Puts an attached adapter into the weights: W becomes W + B A, computed in f32 from the
    /// checkpoint's numbers and rounded once. All sequences run with it from then on. Returns how long it
    /// took. On an error the weights are the base model's.
    pub fn merge(&mut self, name: &str) -> Result<Duration> {
        self.check_no_batch("merged")?;
        let adapter = self.adapters.find(name)?;
        if let Some(merged) = self.adapters.merged() {
            return Err(Error::Invalid(format!(
                "'{name}' cannot be merged while '{}' is: unmerge that first",
                merged.name
            )));
        }
        let started = Instant::now();
        if let Err(error) = self.all(&Command::Merge(adapter.id)) {
            self.all(&Command::Unmerge)?;
            return Err(error);
        }
        self.adapters.set_merged(Some(adapter));
        Ok(started.elapsed())
    }

    /// Makes the weights the base model's again, bit by bit; the adapter stays attached.
    pub fn unmerge(&mut self, name: &str) -> Result<Duration> {
        self.check_no_batch("unmerged")?;
        let adapter = self.adapters.find(name)?;
        if self.adapters.merged().is_none_or(|merged| merged.id != adapter.id) {
            return Err(Error::Invalid(format!("'{name}' is attached, but not merged")));
        }
        let started = Instant::now();
        self.all(&Command::Unmerge)?;
        self.adapters.set_merged(None);
        Ok(started.elapsed())
    }

    /// Takes an adapter off again, merged or not.
    pub fn detach(&mut self, name: &str) -> Result<()> {
        self.check_no_batch("detached")?;
        let adapter = self.adapters.find(name)?;
        if self.adapters.merged().is_some_and(|merged| merged.id == adapter.id) {
            self.unmerge(name)?;
        }
        self.all(&Command::Detach(adapter.id))?;
        self.adapters.remove(adapter.id);
        Ok(())
    }

    /// Sets what sequences run with whose request says nothing, and scores: an attached adapter, or
    /// the base weights.
    pub fn use_adapter(&mut self, name: Option<&str>) -> Result<()> {
        let adapter = name.map(|name| self.adapters.find(name)).transpose()?;
        self.adapters.set_default(adapter);
        Ok(())
    }

    /// The attached adapter of that name.
    pub fn adapter(&self, name: &str) -> Result<Arc<Adapter>> {
        self.adapters.find(name)
    }

    /// Every attached adapter, and how it takes part.
    pub fn adapters(&self) -> impl Iterator<Item = Adapted> {
        self.adapters.all()
    }

    /// Sequences of an open batch have keys and values that were computed with the weights as they are.
    fn check_no_batch(&self, what: &str) -> Result<()> {
        match self.has_open_batch() {
            true => Err(Error::Invalid(format!(
                "no adapter can be {what} while a batch of the model is open: drain and drop it first"
            ))),
            false => Ok(()),
        }
    }
}
