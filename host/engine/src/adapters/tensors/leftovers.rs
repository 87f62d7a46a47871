//! The tensors of an adapter that no part of a model has used.

use super::{AdapterTensors, TensorOrigin};
use crate::Result;
use llem_checkpoint::module_key;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Most names that a warning lists.
const MOST_NAMES: usize = 5;

/// What remains of an adapter after the parts of a model, or of one rank, have taken their tensors.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Leftovers {
    /// Modules of the model that asked for tensors.
    pub asked: BTreeSet<String>,
    /// Names of the tensors that no module has taken, with the modules that they are named for.
    pub left: BTreeMap<String, String>,
}

impl Leftovers {
    /// Combines the leftovers of two ranks. A tensor remains only if neither rank has taken it.
    pub(crate) fn combine(&mut self, other: Self) {
        self.asked.extend(other.asked);
        self.left.retain(|name, _| other.left.contains_key(name));
    }
}

impl AdapterTensors {
    /// Returns the modules that asked so far, and the tensors that no module has taken.
    pub(crate) fn leftovers(&self) -> Leftovers {
        let left = match &self.origin {
            TensorOrigin::File { left, .. } => {
                left.iter().map(|name| (name.name.clone(), name.module.clone())).collect()
            }
            TensorOrigin::Synthetic { .. } => BTreeMap::new(),
        };
        Leftovers { asked: self.asked.clone(), left }
    }

    /// Refuses an adapter with an unused tensor, because it was made for another model.
    pub(crate) fn check_leftovers(&self, leftovers: &Leftovers) -> Result<()> {
        let Leftovers { asked, left } = leftovers;
        if let Some((name, module)) = left.iter().next() {
            let example = asked.iter().find(|asked| asked.contains('.'));
            let is_asked = asked.iter().any(|asked| module_key(asked) == module_key(module));
            return Err(self.file_error(&match is_asked {
                true => format!("tensor {name} is of a kind that {module} cannot take"),
                false => format!(
                    "tensor {name} is for a module that the base model lacks or that cannot be changed; one that it has is {}",
                    example.map_or("none", String::as_str)
                ),
            }));
        }
        match (&self.origin, self.config.names_without_module(asked).first()) {
            (TensorOrigin::Synthetic { .. }, Some(name)) => Err(self.file_error(&format!(
                "it names '{name}', but the base model has no module of that name that can be changed"
            ))),
            _ => Ok(()),
        }
    }

    /// Returns the sentences for the run record, after all parts of the model have taken their tensors.
    pub(crate) fn warnings(&self, leftovers: &Leftovers) -> Vec<String> {
        let TensorOrigin::File { left, .. } = &self.origin else { return Vec::new() };
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
