//! Everything that two runs share, and in which they differ.

use crate::{
    difference::Difference,
    environment, method,
    numbers::NumberComparison,
    requests::{RequestComparison, UnmatchedReason, match_requests},
    run::ComparedRun,
    scores::ScoreComparison,
    tokens::TokenComparison,
    verdict::Verdict,
};
use llem_record::{RunRecord, RunStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the comparison's schema. A change that breaks readers raises the first number.
pub const COMPARISON_SCHEMA_VERSION: &str = "1.0";

/// Two runs side by side: the content of `replay.json`.
///
/// ```no_run
/// use llem_compare::{ComparedRun, Comparison};
///
/// let [first, second] = ["runs/one", "runs/other"].map(|run| ComparedRun::open(run.as_ref()));
/// let comparison = Comparison::new(&first?, &second?, Vec::new());
/// println!("{}", comparison.verdict.tokens.text);
/// # Ok::<(), llem_compare::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The version of this schema.
    pub schema_version: String,
    /// The first run: in a replay, the one that is repeated.
    pub first: RunName,
    /// The second run: in a replay, the repetition.
    pub second: RunName,
    /// The conclusion.
    pub verdict: Verdict,
    /// What a reader of the comparison must know.
    pub notes: Vec<String>,
    /// Where the methods differ: components, parameters, seed, models, adapters, datasets, limits, settings of the meter.
    pub method: Vec<Difference>,
    /// What was asked.
    pub requests: RequestComparison,
    /// What was generated.
    pub tokens: TokenComparison,
    /// Log-likelihoods.
    pub scores: ScoreComparison,
    /// What was measured, and what the script derived.
    pub numbers: NumberComparison,
    /// Where program, machine, devices and variables differ.
    pub environment: Vec<Difference>,
}

/// A run of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunName {
    /// The run's name.
    pub id: String,
    /// How the run ended.
    pub status: RunStatus,
    /// When the run began: RFC 3339, UTC. Empty if it is not known.
    pub started_at: String,
    /// How long the run took, ns.
    pub wall_ns: u64,
}

impl From<&RunRecord> for RunName {
    fn from(record: &RunRecord) -> Self {
        Self {
            id: record.id.clone(),
            status: record.status,
            started_at: record.started_at.clone(),
            wall_ns: record.wall_ns,
        }
    }
}

impl Comparison {
    /// Compares two runs. `notes` are put before the comparison's own.
    pub fn new(first: &ComparedRun, second: &ComparedRun, mut notes: Vec<String>) -> Self {
        let matched = match_requests(first.requests(), second.requests());
        let requests = RequestComparison::new(first, second, &matched);
        notes.extend(notes_of_runs(first, second));
        notes.extend(notes_of_requests(&requests));
        let mut comparison = Self {
            schema_version: COMPARISON_SCHEMA_VERSION.to_owned(),
            first: first.record().into(),
            second: second.record().into(),
            verdict: Verdict::default(),
            notes,
            method: method::differences(first, second),
            requests,
            tokens: TokenComparison::new(&matched),
            scores: ScoreComparison::new(first, second),
            numbers: NumberComparison::new(first, second),
            environment: environment::differences(first.record(), second.record()),
        };
        let is_known = first.has_journal() && second.has_journal();
        comparison.verdict = Verdict::new(&comparison, is_known);
        comparison
    }
}

fn notes_of_runs(first: &ComparedRun, second: &ComparedRun) -> Vec<String> {
    let mut notes = Vec::new();
    for (which, run) in [("first", first), ("second", second)] {
        let record = run.record();
        let end = match record.status {
            RunStatus::Completed | RunStatus::Running => None,
            RunStatus::Failed => Some("failed"),
            RunStatus::Interrupted => Some("was interrupted"),
            RunStatus::Killed => Some("was killed"),
        };
        notes.extend(end.map(|end| {
            format!("the {which} run {end}: it is compared as far as it came, and what would have come later is no difference")
        }));
        if !run.has_journal() {
            notes.push(format!("the {which} run has no events.jsonl beside its run.json: its requests and tokens are not known"));
        }
        if run.skipped_lines() > 0 {
            let lines = run.skipped_lines();
            notes.push(format!("{lines} lines of the {which} run's events.jsonl are incomplete or of another version of llem, and are not compared"));
        }
        if record.plan.synthetic_host.is_some() {
            notes.push(format!("the {which} run was on a synthetic host: its times and energies were given, and none was measured"));
        }
    }
    notes.extend(method::rebuilt(first.record(), second.record()).iter().map(|role| {
        format!("the {role} was built again from the same code, with the same tools; its bytes differ, as builds of its language do")
    }));
    notes
}

fn notes_of_requests(requests: &RequestComparison) -> Vec<String> {
    let mut notes = Vec::new();
    for group in &requests.unmatched {
        if group.reason == Some(UnmatchedReason::WarmUp) {
            notes.push(format!(
                "the warm-up has {} requests '{}' in the first run and {} in the second, because it goes on until times settle",
                group.first, group.label, group.second
            ));
        }
    }
    let mut fields = requests.differences.iter().flat_map(|request| &request.fields);
    if fields.any(|field| field.name == "sampling.first_stream") {
        notes.push("requests drew from other streams of random numbers, because the runs made other numbers of requests in a phase before them; a seed of its own in the script's sampling makes a request independent of them".to_owned());
    }
    notes
}
