//! A named text that two runs do not share, and how such texts are found in the fields of a record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A fact in which two runs differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// What it is: the record's fields, joined by a dot, or words.
    pub name: String,
    /// The value of the first run. Absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// The value of the second run. Absent if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<String>,
}

/// The facts of a run by name.
#[derive(Debug, Default)]
pub(crate) struct Facts(BTreeMap<String, String>);

impl Facts {
    /// Adds what is so in this run, under the name that both runs share.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: impl ToString) {
        self.0.insert(name.into(), value.to_string());
    }

    /// Adds every field of a part of a record under `name`, each with its path. Fields that are `null` or absent are left out,
    /// so that a record of an older schema has the same facts as one that says that there is nothing.
    pub(crate) fn add_fields(&mut self, name: &str, part: &impl Serialize) {
        // A part of a record always serialises.
        let value = serde_json::to_value(part).unwrap_or_default();
        self.add_value(name, value);
    }

    /// Adds some of the fields of a part of a record, each named by `before` and its path.
    pub(crate) fn add_chosen_fields(
        &mut self,
        before: &str,
        part: &impl Serialize,
        chosen: &[&str],
    ) {
        let value = serde_json::to_value(part).unwrap_or_default();
        for field in chosen {
            if let Some(value) = value.get(field) {
                self.add_value(&format!("{before}{field}"), value.clone());
            }
        }
    }

    fn add_value(&mut self, name: &str, value: Value) {
        let path = |field: &str| match name {
            "" => field.to_owned(),
            name => format!("{name}.{field}"),
        };
        match value {
            Value::Null => {}
            Value::Object(fields) => {
                fields.into_iter().for_each(|(field, value)| self.add_value(&path(&field), value));
            }
            Value::Array(items) if items.iter().any(|item| item.is_object()) => {
                for (place, item) in items.into_iter().enumerate() {
                    self.add_value(&format!("{name}[{place}]"), item);
                }
            }
            Value::String(text) => self.add(name, text),
            value => self.add(name, value),
        }
    }

    /// Removes the facts whose names a predicate chooses.
    pub(crate) fn remove(&mut self, is_removed: impl Fn(&str) -> bool) {
        self.0.retain(|name, _| !is_removed(name));
    }

    /// Returns the names that a predicate chooses.
    pub(crate) fn names(&self, is_chosen: impl Fn(&str) -> bool) -> BTreeSet<String> {
        self.0.keys().filter(|name| is_chosen(name)).cloned().collect()
    }

    /// Returns the facts that `first` and `second` do not share, by name.
    pub(crate) fn differences(first: &Self, second: &Self) -> Vec<Difference> {
        let missing = second.0.keys().filter(|name| !first.0.contains_key(*name));
        let mut names: Vec<&String> = first.0.keys().chain(missing).collect();
        names.sort();
        let different = names.into_iter().filter(|name| first.0.get(*name) != second.0.get(*name));
        different
            .map(|name| Difference {
                name: name.clone(),
                first: first.0.get(name).cloned(),
                second: second.0.get(name).cloned(),
            })
            .collect()
    }
}
