//! Scoring calls of a run.

use crate::generated::Key;
use llem_record::ScoreResult;
use std::collections::BTreeMap;

/// A call of `score` or `score-rolling`, with the results of all its lines.
#[derive(Clone, Debug)]
pub(crate) struct ScoreCall {
    pub key: Key,
    /// When the call's window opened, ns since the run began.
    pub started_ns: u64,
    /// SHA-256 of the requests. `None` in older records, and if the call did not end.
    pub digest: Option<String>,
    /// The results by the request's index in the call.
    pub results: BTreeMap<u64, ScoreResult>,
}

impl ScoreCall {
    /// Adds the results of one line.
    pub(crate) fn add(&mut self, results: Vec<ScoreResult>) {
        self.results.extend(results.into_iter().map(|result| (result.request, result)));
    }
}
