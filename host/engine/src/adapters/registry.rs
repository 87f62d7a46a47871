//! The adapters of a model: which are attached, which one is merged, and which a request means.

use super::{Adapted, Adapter, AdapterId, Mode};
use crate::{Error, Result};
use std::sync::Arc;

/// What a request wants for its sequences. A name is an adapter's, and none means the base weights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// What the model says, for all.
    #[default]
    OfModel,
    /// The same for all.
    Same(Option<String>),
    /// One for each.
    Each(Vec<Option<String>>),
}

/// The adapters of a model.
#[derive(Default)]
pub struct Registry {
    attached: Vec<Arc<Adapter>>,
    merged: Option<Arc<Adapter>>,
    /// What sequences run with whose request says nothing.
    default: Option<Arc<Adapter>>,
    next: u32,
}

impl Registry {
    /// An id that no adapter has had.
    pub fn next_id(&mut self) -> AdapterId {
        self.next += 1;
        AdapterId(self.next)
    }

    /// A name like `wanted` that no adapter has.
    pub fn free_name(&self, wanted: &str) -> String {
        let is_taken = |name: &str| self.attached.iter().any(|adapter| adapter.name == name);
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        std::iter::once(wanted.to_owned())
            .chain(numbered)
            .find(|name| !is_taken(name))
            .unwrap_or_default()
    }

    /// Adds an adapter.
    pub fn add(&mut self, adapter: Adapter) -> Arc<Adapter> {
        let adapter = Arc::new(adapter);
        self.attached.push(Arc::clone(&adapter));
        adapter
    }

    /// Takes an adapter out.
    pub fn remove(&mut self, id: AdapterId) {
        self.attached.retain(|adapter| adapter.id != id);
        self.default.take_if(|adapter| adapter.id == id);
        self.merged.take_if(|adapter| adapter.id == id);
    }

    /// The adapter of that name.
    pub fn find(&self, name: &str) -> Result<Arc<Adapter>> {
        let found = self.attached.iter().find(|adapter| adapter.name == name);
        found.cloned().ok_or_else(|| {
            let known: Vec<&str> =
                self.attached.iter().map(|adapter| adapter.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Error::NotFound(format!("no adapter '{name}' is attached; attached: {known}"))
        })
    }

    /// All of them, and how they take part.
    pub fn all(&self) -> impl Iterator<Item = Adapted> {
        self.attached
            .iter()
            .map(|adapter| Adapted { adapter: Arc::clone(adapter), mode: self.mode(adapter) })
    }

    /// The one that is part of the weights.
    pub fn merged(&self) -> Option<&Arc<Adapter>> {
        self.merged.as_ref()
    }

    /// Notes which one is part of the weights.
    pub fn set_merged(&mut self, adapter: Option<Arc<Adapter>>) {
        self.merged = adapter;
    }

    /// Sets what sequences run with whose request says nothing.
    pub fn set_default(&mut self, adapter: Option<Arc<Adapter>>) {
        self.default = adapter;
    }

    /// What each of `count` sequences runs with.
    pub fn choose(&self, choice: &Choice, count: usize) -> Result<Vec<Option<Adapted>>> {
        match choice {
            Choice::OfModel => Ok(vec![self.by_default(); count]),
            Choice::Same(one) => Ok(vec![self.named(one.as_deref())?; count]),
            Choice::Each(each) if each.len() == count => {
                each.iter().map(|name| self.named(name.as_deref())).collect()
            }
            Choice::Each(each) => Err(Error::Invalid(format!(
                "the request names {} adapters for {count} prompts: name one for each",
                each.len()
            ))),
        }
    }

    /// What sequences run with whose request says nothing.
    pub fn by_default(&self) -> Option<Adapted> {
        let adapter = self.merged.as_ref().or(self.default.as_ref())?;
        Some(Adapted { adapter: Arc::clone(adapter), mode: self.mode(adapter) })
    }

    fn named(&self, name: Option<&str>) -> Result<Option<Adapted>> {
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
            Ok(Adapted { mode: self.mode(&adapter), adapter })
        };
        name.map(find).transpose()
    }

    fn mode(&self, adapter: &Adapter) -> Mode {
        let is_merged = self.merged.as_ref().is_some_and(|merged| merged.id == adapter.id);
        if is_merged { Mode::Merged } else { Mode::Attached }
    }
}
