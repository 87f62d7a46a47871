//! A model that a script holds, with its adapters.

use crate::{engine_thread::EngineThread, error::Refusal, grants::ModelGrant};
use llem_engine::{Model, adapters::Adapted};
use std::sync::Arc;

/// A model that a script holds.
pub struct LoadedModel {
    /// The way to it.
    pub thread: EngineThread,
    /// What it was granted as, whose adapters it may have.
    pub grant: Arc<ModelGrant>,
    /// As they were when something was last done with them.
    pub adapters: Adapters,
}

/// The adapters of a model, as the guest's side knows them.
#[derive(Default)]
pub struct Adapters {
    all: Vec<Adapted>,
}

impl Adapters {
    /// A model's adapters now.
    pub fn of(model: &Model) -> Self {
        Self { all: model.adapters().collect() }
    }

    /// All of them.
    pub fn all(&self) -> &[Adapted] {
        &self.all
    }

    /// The adapter of that name.
    pub fn find(&self, name: &str) -> Result<&Adapted, Refusal> {
        let found = self.all.iter().find(|adapted| adapted.adapter.name == name);
        found.ok_or_else(|| Refusal::NotFound(format!("no adapter '{name}' is attached")))
    }
}
