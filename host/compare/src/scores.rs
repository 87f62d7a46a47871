//! Compares scores: the log-likelihoods of matched calls.

use crate::{generated::Key, run::ComparedRun, scored::ScoreCall};
use llem_record::ScoreResult;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The scores of two runs. Calls are matched in their order within a phase, kind and model.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ScoreComparison {
    /// Number of calls of the first run.
    pub first_calls: u64,
    /// Number of calls of the second run.
    pub second_calls: u64,
    /// Number of matched calls whose requests differ, by their digests. Their results are not compared.
    pub different_calls: u64,
    /// Number of results that both runs have.
    pub results: u64,
    /// Number of results that are equal to the last digit.
    pub equal: u64,
    /// Number of results of which one run scored other tokens, or would have decoded greedily what the other would not.
    pub different_choices: u64,
    /// Number of results that have probability 0 in one run only.
    pub impossible_in_one: u64,
    /// The result whose log-likelihoods differ most. Absent if all are equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub largest: Option<ScoreDifference>,
}

/// The log-likelihoods of one result in two runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScoreDifference {
    /// The names of the open phases, joined by `/`.
    pub phase: String,
    /// `score` or `score-rolling`.
    pub label: String,
    /// The model's number. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// The place of the call among those with this phase, kind and model, from 0.
    pub call: u64,
    /// The index of the request in the call.
    pub request: u64,
    /// The log-likelihood of the first run, natural logarithm.
    pub first: f64,
    /// The log-likelihood of the second run, natural logarithm.
    pub second: f64,
    /// The second less the first.
    pub difference: f64,
}

impl ScoreComparison {
    pub(crate) fn new(first: &ComparedRun, second: &ComparedRun) -> Self {
        let mut comparison = Self {
            first_calls: first.scores().len() as u64,
            second_calls: second.scores().len() as u64,
            ..Self::default()
        };
        let mut others: BTreeMap<&Key, Vec<&ScoreCall>> = BTreeMap::new();
        second.scores().iter().for_each(|call| others.entry(&call.key).or_default().push(call));
        let mut places: BTreeMap<&Key, usize> = BTreeMap::new();
        for call in first.scores() {
            let place = places.entry(&call.key).or_default();
            if let Some(other) = others.get(&call.key).and_then(|calls| calls.get(*place)) {
                comparison.add_call(*place as u64, call, other);
            }
            *place += 1;
        }
        comparison
    }

    /// Returns true if the same requests were scored, and the model chooses the same tokens. Log-likelihoods may differ.
    pub fn is_same(&self) -> bool {
        self.different_calls + self.different_choices + self.impossible_in_one == 0
    }

    fn add_call(&mut self, place: u64, first: &ScoreCall, second: &ScoreCall) {
        if let (Some(one), Some(other)) = (&first.digest, &second.digest)
            && one != other
        {
            self.different_calls += 1;
            return;
        }
        for (request, one) in &first.results {
            if let Some(other) = second.results.get(request) {
                self.add_result(&first.key, place, one, other);
            }
        }
    }

    fn add_result(&mut self, key: &Key, call: u64, first: &ScoreResult, second: &ScoreResult) {
        self.results += 1;
        if first.tokens != second.tokens || first.is_greedy != second.is_greedy {
            self.different_choices += 1;
        }
        let (one, other) = match (first.log_likelihood, second.log_likelihood) {
            (None, None) => {
                self.equal += 1;
                return;
            }
            (Some(one), Some(other)) => (one, other),
            _ => {
                self.impossible_in_one += 1;
                return;
            }
        };
        let difference = other - one;
        if difference == 0.0 {
            self.equal += 1;
        } else if self.largest.as_ref().is_none_or(|l| difference.abs() > l.difference.abs()) {
            let Key { phase, label, model } = key.clone();
            let request = first.request;
            self.largest = Some(ScoreDifference {
                phase,
                label,
                model,
                call,
                request,
                first: one,
                second: other,
                difference,
            });
        }
    }
}
