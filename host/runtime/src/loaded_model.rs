//! A model that a script holds, with its adapters.

use crate::{engine_thread::EngineThread, error::Refusal, grants::ModelGrant};
use llem_engine::{ActiveAdapter, Model};
use std::sync::Arc;

/// A model that a script holds.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct LoadedModel {
    pub thread: EngineThread,
    /// The grant that it was loaded under, which lists its adapters.
    pub grant: Arc<ModelGrant>,
    /// The adapters as they were after the last change.
    pub adapters: AttachedAdapters,
}

/// A copy of a model's list of adapters for the guest's side.
#[derive(Default)]
pub(crate) struct AttachedAdapters {
    all: Vec<ActiveAdapter>,
}

impl AttachedAdapters {
    pub(crate) fn from_model(model: &Model) -> Self {
        Self { all: model.adapters().collect() }
    }

    pub(crate) fn all(&self) -> &[ActiveAdapter] {
        &self.all
    }

    pub(crate) fn find(&self, name: &str) -> Result<&ActiveAdapter, Refusal> {
        let found = self.all.iter().find(|adapted| adapted.adapter.name == name);
        found.ok_or_else(|| Refusal::NotFound(format!("no adapter '{name}' is attached")))
    }
}
