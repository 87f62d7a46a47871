//! Attaching, merging, unmerging and detaching adapters of a model.

use super::{ActiveAdapter, Adapter, AdapterFlops, AdapterSource};
use crate::{Error, Model, Result, parallel::rank_command::RankCommand};
use llem_checkpoint::DigestOptions;
use std::{sync::Arc, time::Duration};

impl Model {
    /// Attaches an adapter without merging it. Its name is `name`, or else the source's own name. If the name is
    /// taken, a number is added. `seed` is used by synthetic adapters that name no seed.
    ///
    /// # Errors
    /// The adapter cannot be read, does not fit the model, or another one is merged. Nothing is attached then.
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
        let started = llem_clock::now();
        let id = self.adapters.next_id();
        let mut taken = None;
        for index in 0..self.replicas.len() {
            match self.replicas[index].attach(id, source, seed, &mut opened) {
                Ok(attached) => taken = taken.or(Some(attached)),
                Err(error) => {
                    // The first error is reported, even if the cleanup fails too.
                    let _ = self.all(&RankCommand::Detach(id));
                    return Err(error);
                }
            }
            if index + 1 < self.replicas.len() {
                opened = source.open(seed, &DigestOptions::disabled())?;
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
            attach_time: llem_clock::elapsed(started),
            warnings: opened.tensors.warnings(&taken.leftovers),
        }))
    }

    /// Merges an attached adapter into the weights and returns how long that took. W becomes W + B A, computed in f32
    /// from the checkpoint's numbers and rounded once. From then on all sequences run with the adapter.
    ///
    /// # Errors
    /// No such adapter is attached, another one is merged, a batch is open, or the weights are quantised. The weights
    /// are the base model's then.
    pub fn merge(&mut self, name: &str) -> Result<Duration> {
        self.check_no_batch("merged")?;
        let adapter = self.adapters.find(name)?;
        if let Some(merged) = self.adapters.merged() {
            return Err(Error::Invalid(format!(
                "'{name}' cannot be merged while '{}' is: unmerge that first",
                merged.name
            )));
        }
        let started = llem_clock::now();
        if let Err(error) = self.all(&RankCommand::Merge(adapter.id)) {
            self.all(&RankCommand::Unmerge)?;
            return Err(error);
        }
        self.adapters.set_merged(Some(adapter));
        Ok(llem_clock::elapsed(started))
    }

    /// Restores the base model's weights bit by bit, and returns how long that took. The adapter stays attached.
    ///
    /// # Errors
    /// The adapter is not merged, or a batch is open.
    pub fn unmerge(&mut self, name: &str) -> Result<Duration> {
        self.check_no_batch("unmerged")?;
        let adapter = self.adapters.find(name)?;
        if self.adapters.merged().is_none_or(|merged| merged.id != adapter.id) {
            return Err(Error::Invalid(format!("'{name}' is attached, but not merged")));
        }
        let started = llem_clock::now();
        self.all(&RankCommand::Unmerge)?;
        self.adapters.set_merged(None);
        Ok(llem_clock::elapsed(started))
    }

    /// Detaches an adapter. If it is merged, it is unmerged first.
    ///
    /// # Errors
    /// No such adapter is attached, or a batch is open.
    pub fn detach(&mut self, name: &str) -> Result<()> {
        self.check_no_batch("detached")?;
        let adapter = self.adapters.find(name)?;
        if self.adapters.merged().is_some_and(|merged| merged.id == adapter.id) {
            self.unmerge(name)?;
        }
        self.all(&RankCommand::Detach(adapter.id))?;
        self.adapters.remove(adapter.id);
        Ok(())
    }

    /// Sets the model's default: an attached adapter, or `None` for the base weights. Scores and requests that select
    /// no adapter use it.
    ///
    /// # Errors
    /// No such adapter is attached.
    pub fn use_adapter(&mut self, name: Option<&str>) -> Result<()> {
        let adapter = name.map(|name| self.adapters.find(name)).transpose()?;
        self.adapters.set_default(adapter);
        Ok(())
    }

    /// Returns the attached adapter with this name.
    ///
    /// # Errors
    /// No such adapter is attached.
    pub fn adapter(&self, name: &str) -> Result<Arc<Adapter>> {
        self.adapters.find(name)
    }

    /// Returns every attached adapter and its mode.
    pub fn adapters(&self) -> impl Iterator<Item = ActiveAdapter> {
        self.adapters.all()
    }

    /// Refuses a change of weights while a batch is open, because the keys and values of its sequences were computed
    /// with the present weights.
    fn check_no_batch(&self, what: &str) -> Result<()> {
        match self.has_open_batch() {
            true => Err(Error::Invalid(format!(
                "no adapter can be {what} while a batch of the model is open: drain and drop it first"
            ))),
            false => Ok(()),
        }
    }
}
