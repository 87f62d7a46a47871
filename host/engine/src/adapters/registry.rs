//! The adapters of a model: which ones are attached, which one is merged, and which one a request selects.

use super::{ActiveAdapter, Adapter, AdapterId, AdapterMode};
use crate::{Error, Result};
use std::sync::Arc;

/// The adapters that a request selects for its sequences, by their names. `None` in place of a name means the base
/// weights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AdapterSelection {
    /// All sequences use the model's default.
    #[default]
    OfModel,
    /// All sequences use the same adapter.
    Same(Option<String>),
    /// Each sequence uses its own adapter. There is one entry for each prompt.
    Each(Vec<Option<String>>),
}

#[derive(Default)]
pub(crate) struct AdapterRegistry {
    attached: Vec<Arc<Adapter>>,
    merged: Option<Arc<Adapter>>,
    /// The adapter of sequences whose request selects none.
    default: Option<Arc<Adapter>>,
    next: u32,
}

impl AdapterRegistry {
    /// Returns an id that no adapter has had before.
    pub(crate) fn next_id(&mut self) -> AdapterId {
        self.next += 1;
        AdapterId(self.next)
    }

    /// Returns `wanted`, or `wanted` with a number if that name is taken.
    pub(crate) fn free_name(&self, wanted: &str) -> String {
        let is_taken = |name: &str| self.attached.iter().any(|adapter| adapter.name == name);
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        std::iter::once(wanted.to_owned())
            .chain(numbered)
            .find(|name| !is_taken(name))
            .unwrap_or_default()
    }

    pub(crate) fn add(&mut self, adapter: Adapter) -> Arc<Adapter> {
        let adapter = Arc::new(adapter);
        self.attached.push(Arc::clone(&adapter));
        adapter
    }

    pub(crate) fn remove(&mut self, id: AdapterId) {
        self.attached.retain(|adapter| adapter.id != id);
        self.default.take_if(|adapter| adapter.id == id);
        self.merged.take_if(|adapter| adapter.id == id);
    }

    /// Returns the attached adapter with this name.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Adapter>> {
        let found = self.attached.iter().find(|adapter| adapter.name == name);
        found.cloned().ok_or_else(|| {
            let known: Vec<&str> =
                self.attached.iter().map(|adapter| adapter.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Error::NotFound(format!("no adapter '{name}' is attached; attached: {known}"))
        })
    }

    /// Returns every attached adapter and its mode.
    pub(crate) fn all(&self) -> impl Iterator<Item = ActiveAdapter> {
        self.attached
            .iter()
            .map(|adapter| ActiveAdapter { adapter: Arc::clone(adapter), mode: self.mode(adapter) })
    }

    /// Returns the merged adapter.
    pub(crate) fn merged(&self) -> Option<&Arc<Adapter>> {
        self.merged.as_ref()
    }

    pub(crate) fn set_merged(&mut self, adapter: Option<Arc<Adapter>>) {
        self.merged = adapter;
    }

    /// Sets the adapter of sequences whose request selects none.
    pub(crate) fn set_default(&mut self, adapter: Option<Arc<Adapter>>) {
        self.default = adapter;
    }

    /// Returns the adapter of each of `count` sequences.
    pub(crate) fn choose(
        &self,
        choice: &AdapterSelection,
        count: usize,
    ) -> Result<Vec<Option<ActiveAdapter>>> {
        match choice {
            AdapterSelection::OfModel => Ok(vec![self.by_default(); count]),
            AdapterSelection::Same(one) => Ok(vec![self.named(one.as_deref())?; count]),
            AdapterSelection::Each(each) if each.len() == count => {
                each.iter().map(|name| self.named(name.as_deref())).collect()
            }
            AdapterSelection::Each(each) => Err(Error::Invalid(format!(
                "the request names {} adapters for {count} prompts: name one for each",
                each.len()
            ))),
        }
    }

    /// Returns the adapter of sequences whose request selects none: the merged adapter, or else the default.
    pub(crate) fn by_default(&self) -> Option<ActiveAdapter> {
        let adapter = self.merged.as_ref().or(self.default.as_ref())?;
        Some(ActiveAdapter { adapter: Arc::clone(adapter), mode: self.mode(adapter) })
    }

    fn named(&self, name: Option<&str>) -> Result<Option<ActiveAdapter>> {
        if let Some(merged) = &self.merged
            && name != Some(&merged.name)
        {
            let wanted =
                name.map_or_else(|| "the base weights".to_owned(), |name| format!("'{name}'"));
            return Err(Error::Invalid(format!(
                "the request wants {wanted}, but '{}' is merged into the weights: unmerge it first",
                merged.name
            )));
        }
        let find = |name: &str| {
            let adapter = self.find(name)?;
            Ok(ActiveAdapter { mode: self.mode(&adapter), adapter })
        };
        name.map(find).transpose()
    }

    fn mode(&self, adapter: &Adapter) -> AdapterMode {
        let is_merged = self.merged.as_ref().is_some_and(|merged| merged.id == adapter.id);
        if is_merged { AdapterMode::Merged } else { AdapterMode::Attached }
    }
}
