//! Scoring in the record: a whole call, the progress of a long call, and a summary of calls.
//!
//! ```text
//! score-progress   requests 0 to 811     about one line a second while a call goes on
//! score-progress   requests 812 to 1630
//! score            requests 1631 to 2000, the totals, and the window
//! ```
//!
//! The result of each request is in one line only. After a `kill -9`, the lines of progress are what is left.

use crate::{
    activity::Activity,
    energy::{DomainRecord, per_token},
    energy_sums::{EnergySum, EnergySums},
    group_key::GroupKey,
    model::UsedAdapter,
    statistics::token_rate,
    window::WindowRecord,
};
use llem_quantity::{Cause, Quantity, ReadingRecord, Source, Unavailable};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A call of `score` or `score-rolling`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScoreRecord {
    /// Time and energy of exactly this call. Its label is `score` or `score-rolling`.
    pub window: WindowRecord,
    /// The model's number. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// SHA-256 of the requests, written as 32-bit integers, least byte first: for each request, the number of context tokens,
    /// these tokens, the number of continuation tokens, and these tokens. For texts, the prefix comes first, and then each
    /// text as a continuation without context. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether whole texts were scored, rather than continuations.
    pub rolling: bool,
    /// Number of requests or texts in the call.
    pub requests: u64,
    /// Number of requests or texts that were completed.
    pub completed: u64,
    /// Number of tokens before the continuations, over all requests. For texts, it counts the prefixes and the tokens that are
    /// processed again because they precede a later window.
    pub context_tokens: u64,
    /// Number of tokens to score, over all requests.
    pub continuation_tokens: u64,
    /// Number of tokens that were scored.
    pub scored_tokens: u64,
    /// Number of forward passes.
    pub passes: u64,
    /// The adapter of the call. Absent if it ran with the base weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<UsedAdapter>,
    /// Why the call was cut short: `interrupted`, or the error. Absent if it was completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_short: Option<String>,
    /// The completed requests that are not in earlier lines of `score-progress`.
    pub results: Vec<ScoreResult>,
}

/// The requests that a call of `score` or `score-rolling` has completed since its previous line, while it still goes on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScoreProgressRecord {
    /// The label of the call's window.
    pub label: String,
    /// The model's number. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// The names of the open phases, joined by `/`.
    pub phase: String,
    /// When the call's window opened, ns since the run began. All lines of a call have the same value.
    pub started_ns: u64,
    /// Number of requests or texts in the call.
    pub requests: u64,
    /// Number of requests or texts completed since the call began.
    pub completed: u64,
    /// Number of tokens scored since the call began.
    pub scored_tokens: u64,
    /// The requests completed since the previous line.
    pub results: Vec<ScoreResult>,
}

/// The likelihood of a request's continuation, or of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScoreResult {
    /// The index of the request in the call.
    pub request: u64,
    /// Number of tokens that were scored.
    pub tokens: u64,
    /// Natural logarithm of the joint probability of the tokens. Absent if the model rules one of them out, because JSON has no
    /// number for minus infinity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_likelihood: Option<f64>,
    /// Whether greedy decoding would have produced exactly these tokens.
    pub is_greedy: bool,
}

/// A summary of the calls of `score` or `score-rolling` in one phase.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScoreGroup {
    /// The names of the open phases, joined by `/`.
    pub phase: String,
    /// `score` or `score-rolling`.
    pub label: String,
    /// The model's number. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// Number of calls.
    pub calls: u64,
    /// Number of requests or texts that were completed.
    pub requests: u64,
    /// Number of tokens that were scored.
    pub scored_tokens: u64,
    /// The work of all calls together. Its `requests` counts the sequences that ran, and for texts their windows.
    pub activity: Activity,
    /// The adapters of the calls, each once.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub adapters: BTreeSet<UsedAdapter>,
    /// Tokens processed per second of prefill.
    pub prefill_rate: Option<Quantity>,
    /// Tokens scored per second of prefill.
    pub score_rate: Option<Quantity>,
    /// Operations per processed token, FLOP, estimated from the model's shape.
    pub flops_per_token: Option<Quantity>,
    /// Energy of the calls, J.
    pub energy: ReadingRecord,
    /// The domains that `energy` covers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub energy_covers: Vec<DomainRecord>,
    /// The processor's part of `energy`, J.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_cpu: Option<ReadingRecord>,
    /// The accelerators' part of `energy`, J. Absent if none did the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_accelerators: Option<ReadingRecord>,
    /// Energy per processed token, J/{token}.
    pub energy_per_token: ReadingRecord,
    /// Energy per scored token, J/{token}.
    pub energy_per_scored_token: ReadingRecord,
}

/// The samples of a group of calls while the run goes on.
#[derive(Debug, Default)]
pub(crate) struct ScoreSamples {
    calls: u64,
    requests: u64,
    scored_tokens: u64,
    activity: Activity,
    adapters: BTreeSet<UsedAdapter>,
    energy: EnergySums,
    /// The completed requests and scored tokens of a call that has not ended.
    open: Option<(u64, u64)>,
}

impl ScoreSamples {
    /// Adds a call that has ended.
    pub(crate) fn add(&mut self, call: &ScoreRecord) {
        self.open = None;
        self.calls += 1;
        self.requests += call.completed;
        self.scored_tokens += call.scored_tokens;
        self.activity.add(&call.window.activity);
        self.adapters.extend(call.adapter.clone());
        self.energy.add(&call.window);
    }

    /// Keeps the progress of a call, in case it never ends.
    pub(crate) fn set_progress(&mut self, progress: &ScoreProgressRecord) {
        self.open = Some((progress.completed, progress.scored_tokens));
    }

    /// Returns the summary of the group.
    pub(crate) fn summarise(&self, key: &GroupKey) -> ScoreGroup {
        let activity = self.activity;
        let rate = |tokens: u64| token_rate(tokens, activity.prefill_ns);
        let cut = "a call's window was never closed: the run was killed";
        // If the call has no energy, its parts have none, either.
        let part = |part: &EnergySum| part.known().filter(|_| self.open.is_none());
        let energy = match self.open {
            Some(_) => Err(Unavailable::new(Cause::Other, cut)),
            None => self.energy.total.total("no call"),
        };
        let energy_per = |tokens: u64| (&per_token(&energy, tokens, "no token was scored")).into();
        let (requests, scored) = self.open.unwrap_or_default();
        let flops = activity.flops_estimated.total / activity.prompt_tokens.max(1) as f64;
        ScoreGroup {
            phase: key.phase.clone(),
            label: key.label.clone(),
            model: key.model,
            calls: self.calls + u64::from(self.open.is_some()),
            requests: self.requests + requests,
            scored_tokens: self.scored_tokens + scored,
            activity,
            adapters: self.adapters.clone(),
            prefill_rate: rate(activity.prompt_tokens),
            score_rate: rate(self.scored_tokens),
            flops_per_token: (flops > 0.0)
                .then(|| Quantity::exact(flops, "FLOP/{token}", Source::Analytic)),
            energy_per_token: energy_per(activity.prompt_tokens),
            energy_per_scored_token: energy_per(self.scored_tokens),
            energy: (&energy).into(),
            energy_covers: if energy.is_ok() { self.energy.covers() } else { Vec::new() },
            energy_cpu: part(&self.energy.cpu),
            energy_accelerators: part(&self.energy.accelerators),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(completed: u64, scored_tokens: u64) -> ScoreProgressRecord {
        ScoreProgressRecord {
            label: "score".to_owned(),
            model: None,
            phase: "measure".to_owned(),
            started_ns: 0,
            requests: 9,
            completed,
            scored_tokens,
            results: Vec::new(),
        }
    }

    #[test]
    fn a_call_that_never_ended_counts_as_far_as_it_came_and_has_no_energy() {
        let mut samples = ScoreSamples::default();
        samples.set_progress(&progress(3, 30));
        samples.set_progress(&progress(5, 52));
        let key = GroupKey { model: None, phase: "measure".to_owned(), label: "score".to_owned() };
        let group = samples.summarise(&key);
        assert_eq!((group.calls, group.requests, group.scored_tokens), (1, 5, 52));
        assert!(matches!(group.energy, ReadingRecord::Unavailable { .. }));
        assert!(group.prefill_rate.is_none());
    }

    #[test]
    fn a_probability_of_zero_is_absent_and_can_be_read_again() {
        let result = ScoreResult { request: 1, tokens: 2, log_likelihood: None, is_greedy: false };
        let text = serde_json::to_string(&result).expect("it is written");
        assert_eq!(text, r#"{"request":1,"tokens":2,"is_greedy":false}"#);
        assert_eq!(serde_json::from_str::<ScoreResult>(&text).expect("it is read"), result);
    }
}
