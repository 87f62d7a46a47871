//! What is gathered together.

/// What the requests, or calls, of one group have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupKey {
    /// The model, by its number; none where an older version does not tell.
    pub model: Option<u64>,
    /// The open phases, joined by `/`.
    pub phase: String,
    /// The label.
    pub label: String,
}

impl GroupKey {
    /// Of what ran on a model in a phase under a label.
    pub fn new(model: Option<u64>, phase: &str, label: &str) -> Self {
        Self { model, phase: phase.to_owned(), label: label.to_owned() }
    }
}
