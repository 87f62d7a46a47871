//! Compares two runs: what they generated, how, and what they measured.
//!
//! ```text
//! run folders ──ComparedRun::open──► record, requests, scores of each
//!                                        │
//!        Comparison::new ────────────────┤
//!          method        components, parameters, models, datasets: must be equal
//!          requests      matched by phase, label, model and order
//!          tokens        of matched requests, exactly
//!          scores        log-likelihoods of matched calls
//!          numbers       latencies, rates, energies, metrics, with their uncertainty
//!          environment   program and machine: may differ, and is shown
//!          verdict       the whole in a few lines
//! ```
//!
//! The result serialises to `replay.json`. Its texts come from records, and are untrusted: a script chose them.
//!
//! # Start at
//! - [`ComparedRun`]: a run that is read to be compared
//! - [`Comparison`]: everything that two runs share and in which they differ
//! - [`Verdict`]: the conclusion

mod comparison;
mod difference;
mod environment;
mod error;
mod generated;
mod journal;
mod method;
mod numbers;
mod requests;
mod run;
mod scored;
mod scores;
mod significance;
mod tokens;
mod verdict;

pub use comparison::{COMPARISON_SCHEMA_VERSION, Comparison, RunName};
pub use difference::Difference;
pub use error::Error;
pub use method::is_same_source;
pub use numbers::{Agreement, NumberComparison, NumberDifference, NumberSide, UncertaintyKind};
pub use requests::{
    RequestComparison, RequestDifference, RequestGroupCount, RequestName, UnmatchedReason,
};
pub use run::ComparedRun;
pub use scores::{ScoreComparison, ScoreDifference};
pub use tokens::{TokenComparison, TokenDifference};
pub use verdict::{Finding, Verdict};
