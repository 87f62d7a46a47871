//! Scoring in the record: what a call did, what a long call had done so far, and both summed up.
//!
//! ```text
//! score-progress   requests 0 to 811     a line about every second while a call goes on
//! score-progress   requests 812 to 1630
//! score            requests 1631 to 2000, the totals, and the window
//! ```
//!
//! Each request's result stands in one line only. After a `kill -9` the lines of progress are what is left.

use crate::{
    activity::Activity,
    energy::{DomainRecord, per_token},
    energy_sums::{EnergySum, EnergySums},
    group_key::GroupKey,
    model::UsedAdapter,
    statistics::token_rate,
    window::WindowRecord,
};
use llem_quantity::{Quantity, ReadingRecord, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A call of `score` or `score-rolling`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScoreRecord {
    /// Time and energy of exactly this call. Its label is `score` or `score-rolling`.
    pub window: WindowRecord,
    /// The model, by its number; absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// SHA-256 of what was asked: of each request the number of its context's tokens, those, the number of its
    /// continuation's tokens, and those, all as 32-bit integers, least byte first; of texts first the prefix, then each
    /// as a continuation without context. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Whether whole texts were scored, rather than continuations.
    pub rolling: bool,
    /// Requests, or texts, that were asked for.
    pub requests: u64,
    /// How many of them were completed.
    pub completed: u64,
    /// Tokens before the continuations, over all requests; of texts, tokens that are run again because they
    /// precede a later window, and the prefixes.
    pub context_tokens: u64,
    /// Tokens to score, over all requests.
    pub continuation_tokens: u64,
    /// How many of them were scored.
    pub scored_tokens: u64,
    /// Forward passes.
    pub passes: u64,
    /// The adapter that it was computed with; absent means the base weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<UsedAdapter>,
    /// Why it was cut short: `interrupted`, or what failed. Absent where it was completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_short: Option<String>,
    /// The completed requests, but for those in lines of `score-progress` before.
    pub results: Vec<ScoreResult>,
}

/// What a call of `score` or `score-rolling` that still goes on has completed since the line before.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScoreProgressRecord {
    /// The label of the call's window.
    pub label: String,
    /// The model, by its number; absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// The open phases, joined by `/`.
    pub phase: String,
    /// When the call's window opened: what its lines have in common.
    pub started_ns: u64,
    /// Requests, or texts, that were asked for.
    pub requests: u64,
    /// How many of them have been completed, since the call began.
    pub completed: u64,
    /// Tokens scored, since the call began.
    pub scored_tokens: u64,
    /// Those completed since the line before.
    pub results: Vec<ScoreResult>,
}

/// The likelihood of a request's continuation, or of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScoreResult {
    /// Its place in the call.
    pub request: u64,
    /// Tokens that were scored.
    pub tokens: u64,
    /// Natural logarithm of the probability of all of them together; absent where the model rules one of
    /// them out, which no JSON number can say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_likelihood: Option<f64>,
    /// Whether greedy decoding would have produced exactly these tokens.
    pub is_greedy: bool,
}

/// Calls of `score` or `score-rolling` in one phase, summarised.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ScoreGroup {
    /// The phase.
    pub phase: String,
    /// `score` or `score-rolling`.
    pub label: String,
    /// The model, by its number; absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// Calls.
    pub calls: u64,
    /// Requests, or texts, that were completed.
    pub requests: u64,
    /// Tokens that were scored.
    pub scored_tokens: u64,
    /// Sums over the calls; `requests` in here counts sequences that were run, of texts their windows.
    pub activity: Activity,
    /// The adapters that they were computed with, each once.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub adapters: BTreeSet<UsedAdapter>,
    /// Tokens run per second.
    pub prefill_rate: Option<Quantity>,
    /// Tokens scored per second.
    pub score_rate: Option<Quantity>,
    /// Operations per token run, FLOP, estimated from the model's shape.
    pub flops_per_token: Option<Quantity>,
    /// Energy of the calls, J.
    pub energy: ReadingRecord,
    /// What it covers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub energy_covers: Vec<DomainRecord>,
    /// The processor's part of it, J.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_cpu: Option<ReadingRecord>,
    /// That of the accelerators, J; absent where none did the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_accelerators: Option<ReadingRecord>,
    /// The same per token run.
    pub energy_per_token: ReadingRecord,
    /// The same per token scored.
    pub energy_per_scored_token: ReadingRecord,
}

/// Samples of a group while the run goes on.
#[derive(Debug, Default)]
pub struct ScoreSamples {
    calls: u64,
    requests: u64,
    scored_tokens: u64,
    activity: Activity,
    adapters: BTreeSet<UsedAdapter>,
    /// That of the calls.
    energy: EnergySums,
    /// What a call that has not ended has completed: requests and tokens.
    open: Option<(u64, u64)>,
}

impl ScoreSamples {
    /// Counts a call in.
    pub fn add(&mut self, call: &ScoreRecord) {
        self.open = None;
        self.calls += 1;
        self.requests += call.completed;
        self.scored_tokens += call.scored_tokens;
        self.activity.add(&call.window.activity);
        self.adapters.extend(call.adapter.clone());
        self.energy.add(&call.window);
    }

    /// Keeps what a call has completed so far, for the case that it never ends.
    pub fn note(&mut self, progress: &ScoreProgressRecord) {
        self.open = Some((progress.completed, progress.scored_tokens));
    }

    /// The summary.
    pub fn summarise(&self, of: &GroupKey) -> ScoreGroup {
        let activity = self.activity;
        let rate = |tokens: u64| token_rate(tokens, activity.prefill_ns);
        let cut = "a call's window was never closed: the run was killed".to_owned();
        // Parts without it are none, either.
        let part = |part: &EnergySum| part.known().filter(|_| self.open.is_none());
        let energy = match self.open {
            Some(_) => Err(cut),
            None => self.energy.total.total("no call"),
        };
        let energy_per = |tokens: u64| (&per_token(&energy, tokens, "no token was scored")).into();
        let (requests, scored) = self.open.unwrap_or_default();
        let flops = activity.flops_estimated.total / activity.prompt_tokens.max(1) as f64;
        ScoreGroup {
            phase: of.phase.clone(),
            label: of.label.clone(),
            model: of.model,
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
        samples.note(&progress(3, 30));
        samples.note(&progress(5, 52));
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
