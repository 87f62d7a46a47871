//! What nothing of a model has taken of an adapter.

use super::{AdapterTensors, Origin};
use crate::Result;
use llem_checkpoint::adapters::key_of;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Names that a warning lists.
const MOST_NAMES: usize = 5;

/// What is left of an adapter once the parts of a model, or of a rank, have taken what is theirs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Leftovers {
    /// Modules that were asked for.
    pub asked: BTreeSet<String>,
    /// Tensors that nothing has taken, with their modules.
    pub left: BTreeMap<String, String>,
}

impl Leftovers {
    /// What is left where another rank has taken what is its.
    pub fn and(&mut self, other: Self) {
        self.asked.extend(other.asked);
        self.left.retain(|name, _| other.left.contains_key(name));
    }
}

impl AdapterTensors {
    /// What was asked for, and what nothing has taken.
    pub fn leftovers(&self) -> Leftovers {
        let left = match &self.origin {
            Origin::File { left, .. } => {
                left.iter().map(|name| (name.name.clone(), name.module.clone())).collect()
            }
            Origin::Synthetic { .. } => BTreeMap::new(),
        };
        Leftovers { asked: self.asked.clone(), left }
    }

    /// Refuses an adapter of which any tensor is left: it was made for another model.
    pub fn finish(&self, leftovers: &Leftovers) -> Result<()> {
        let Leftovers { asked, left } = leftovers;
        if let Some((name, module)) = left.iter().next() {
            let example = asked.iter().find(|asked| asked.contains('.'));
            let is_asked = asked.iter().any(|asked| key_of(asked) == key_of(module));
            return Err(self.bad(&match is_asked {
                true => format!("tensor {name} is of a kind that {module} cannot take"),
                false => format!(
                    "tensor {name} is for a module that the base model lacks or that cannot be changed; one that it has is {}",
                    example.map_or("none", String::as_str)
                ),
            }));
        }
        match (&self.origin, self.config.names_without_module(asked).first()) {
            (Origin::Synthetic { .. }, Some(name)) => Err(self.bad(&format!(
                "it names '{name}', but the base model has no module of that name that can be changed"
            ))),
            _ => Ok(()),
        }
    }

    /// What the run's record is to say of the adapter, once all of it has been taken.
    pub fn warnings(&self, leftovers: &Leftovers) -> Vec<String> {
        let Origin::File { left, .. } = &self.origin else { return Vec::new() };
        let nowhere = self.config.names_without_module(&leftovers.asked);
        let nowhere = (!nowhere.is_empty()).then(|| {
            let some = &nowhere[..nowhere.len().min(MOST_NAMES)];
            let more = if some.len() < nowhere.len() { " and more" } else { "" };
            format!("its config names modules that the base model lacks: {}{more}", some.join(", "))
        });
        let of_files = [&self.config.warnings[..], &left.warnings].concat();
        of_files.into_iter().chain(self.renamed.clone()).chain(nowhere).collect()
    }
}
