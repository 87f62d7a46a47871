//! Matches the requests of two runs, and compares what was asked.
//!
//! Requests are matched in their order within a phase, label and model. So a warm-up that took one request more in one of the
//! runs, because it goes on until times settle, leaves all later requests matched.

use crate::{
    difference::{Difference, Facts},
    generated::{GeneratedRequest, GeneratedSequence, Key},
    run::ComparedRun,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most requests whose differences are listed.
const LISTED: usize = 100;

/// The requests of two runs, as the scripts asked for them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RequestComparison {
    /// Number of requests of the first run.
    pub first: u64,
    /// Number of requests of the second run.
    pub second: u64,
    /// Number of requests that both have.
    pub matched: u64,
    /// Groups of which one run has more requests.
    pub unmatched: Vec<RequestGroupCount>,
    /// Number of matched requests that differ in what was asked, or in how a sequence began or ended.
    pub different: u64,
    /// The first 100 of them.
    pub differences: Vec<RequestDifference>,
}

/// The numbers of requests with one phase, label and model in two runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestGroupCount {
    /// The names of the open phases, joined by `/`.
    pub phase: String,
    /// The label of the requests.
    pub label: String,
    /// The model's number. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// Number of requests of the first run.
    pub first: u64,
    /// Number of requests of the second run.
    pub second: u64,
    /// Why the numbers may differ although the method is the same. Absent if they should not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<UnmatchedReason>,
}

/// Why one run has more requests than the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnmatchedReason {
    /// The requests are a warm-up, which goes on until times settle.
    WarmUp,
    /// The run with fewer requests did not come to its end.
    CutShort,
}

/// What differs between two matched requests.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RequestDifference {
    /// The request, as both runs name it.
    pub request: RequestName,
    /// The fields that differ.
    pub fields: Vec<Difference>,
}

/// A request that both runs have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestName {
    /// The names of the open phases, joined by `/`.
    pub phase: String,
    /// The label of the request.
    pub label: String,
    /// The model's number. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// The place of the request among those with this phase, label and model, from 0.
    pub index: u64,
    /// The request's number in the first run.
    pub first: u64,
    /// The request's number in the second run.
    pub second: u64,
}

/// A request of the first run with the same request of the second.
pub(crate) struct MatchedRequest<'a> {
    pub name: RequestName,
    pub first: &'a GeneratedRequest,
    pub second: &'a GeneratedRequest,
}

impl MatchedRequest<'_> {
    /// Returns the sequences that both have, in order.
    pub(crate) fn sequences(
        &self,
    ) -> impl Iterator<Item = (&GeneratedSequence, &GeneratedSequence)> {
        self.first.sequences.iter().zip(&self.second.sequences)
    }
}

/// Matches the requests of two runs. The result is in the order of the first run.
pub(crate) fn match_requests<'a>(
    first: &'a [GeneratedRequest],
    second: &'a [GeneratedRequest],
) -> Vec<MatchedRequest<'a>> {
    let mut others: BTreeMap<&Key, Vec<&GeneratedRequest>> = BTreeMap::new();
    second.iter().for_each(|request| others.entry(&request.key).or_default().push(request));
    let mut places: BTreeMap<&Key, usize> = BTreeMap::new();
    let matched = first.iter().filter_map(|request| {
        let place = places.entry(&request.key).or_default();
        let index = *place;
        *place += 1;
        let other = others.get(&request.key)?.get(index)?;
        let Key { phase, label, model } = request.key.clone();
        let name = RequestName {
            phase,
            label,
            model,
            index: index as u64,
            first: request.number,
            second: other.number,
        };
        Some(MatchedRequest { name, first: request, second: other })
    });
    matched.collect()
}

impl RequestComparison {
    pub(crate) fn new(
        first: &ComparedRun,
        second: &ComparedRun,
        matched: &[MatchedRequest<'_>],
    ) -> Self {
        let all = matched.iter().filter_map(|request| {
            let fields = Facts::differences(&asked(request.first), &asked(request.second));
            let name = request.name.clone();
            (!fields.is_empty()).then_some(RequestDifference { request: name, fields })
        });
        let mut differences: Vec<_> = all.collect();
        let different = differences.len() as u64;
        differences.truncate(LISTED);
        Self {
            first: first.requests().len() as u64,
            second: second.requests().len() as u64,
            matched: matched.len() as u64,
            unmatched: unmatched(first, second),
            different,
            differences,
        }
    }

    /// Returns true if both runs have the same requests, apart from those of a warm-up or after the end of a run that was cut
    /// short.
    pub fn is_same(&self) -> bool {
        self.different == 0 && self.unmatched.iter().all(|group| group.reason.is_some())
    }
}

fn unmatched(first: &ComparedRun, second: &ComparedRun) -> Vec<RequestGroupCount> {
    let mut counts: BTreeMap<&Key, [u64; 2]> = BTreeMap::new();
    for (place, run) in [first, second].into_iter().enumerate() {
        run.requests()
            .iter()
            .for_each(|request| counts.entry(&request.key).or_default()[place] += 1);
    }
    let groups = counts.into_iter().filter(|(_, [first, second])| first != second);
    groups
        .map(|(key, [one, other])| {
            let shorter = if one < other { first } else { second };
            let reason = match (key.is_warmup(), shorter.is_complete()) {
                (_, false) => Some(UnmatchedReason::CutShort),
                (true, _) => Some(UnmatchedReason::WarmUp),
                (false, true) => None,
            };
            let Key { phase, label, model } = key.clone();
            RequestGroupCount { phase, label, model, first: one, second: other, reason }
        })
        .collect()
}

/// Returns what was asked, and how the sequences began and ended.
fn asked(request: &GeneratedRequest) -> Facts {
    let mut facts = Facts::default();
    if let Some(asked) = &request.asked {
        facts.add_fields("", asked);
        let is_greedy = asked.sampling.as_ref().is_some_and(|sampling| sampling.temperature == 0.0);
        facts.remove(|name| {
            // Only --keep-prompts records prompts themselves. Their digests are compared.
            name == "number" || name.ends_with(".content") || name.contains("].content")
            // A greedy choice draws nothing.
            || is_greedy && name == "sampling.first_stream"
        });
    }
    for (place, sequence) in request.sequences.iter().enumerate() {
        let name = |field| format!("sequence {place}: {field}");
        facts.add(name("prompt tokens"), sequence.prompt_tokens);
        facts.add(name("cached tokens"), sequence.cached_tokens);
        if let Some(finish) = &sequence.finish {
            facts.add(name("finish"), finish);
        }
        if let Some(adapter) = &sequence.adapter {
            facts.add(name("adapter"), format!("{}, {}", adapter.name, adapter.mode));
        }
    }
    facts
}
