//! The key by which requests and calls are grouped for a summary.

/// What all requests or calls of one group have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct GroupKey {
    /// The model's number; `None` in journals of older versions.
    pub model: Option<u64>,
    /// The names of the open phases, joined by `/`.
    pub phase: String,
    pub label: String,
}

impl GroupKey {
    pub(crate) fn new(model: Option<u64>, phase: &str, label: &str) -> Self {
        Self { model, phase: phase.to_owned(), label: label.to_owned() }
    }
}
