//! What is gathered by model, phase and label.

use std::collections::HashMap;

/// What requests of one group have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupKey {
    /// The model, by its number; none where an older version does not tell.
    pub model: Option<u64>,
    /// The open phases, joined by `/`.
    pub phase: String,
    /// The label.
    pub label: String,
}

/// What is gathered by model, phase and label, in the order of first appearance.
pub struct Groups<S> {
    all: Vec<(GroupKey, S)>,
    /// Where each stands: a run may have as many as requests.
    places: HashMap<GroupKey, usize>,
}

impl<S> Default for Groups<S> {
    fn default() -> Self {
        Self { all: Vec::new(), places: HashMap::new() }
    }
}

impl<S: Default> Groups<S> {
    /// The group of a model, phase and label, made if there is none.
    pub fn of(&mut self, model: Option<u64>, phase: &str, label: &str) -> &mut S {
        let key = GroupKey { model, phase: phase.to_owned(), label: label.to_owned() };
        let place = *self.places.entry(key).or_insert_with_key(|key| {
            self.all.push((key.clone(), S::default()));
            self.all.len() - 1
        });
        &mut self.all[place].1
    }
}
