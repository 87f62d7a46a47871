//! Sequences that share forward passes, whether they all start together ([`crate::generate`]) or
//! join and leave as a script likes ([`Batch`]).
//!
//! ```text
//! pass   a a a a a a b b b b c      prompt chunks of a and b, one decode row of c
//!        └────────── rows of one matrix: every product reads its weights once for all
//! attention: each sequence over its own KV cache, so that no token depends on its neighbours
//! ```

mod admission;
mod caller;
mod check;
mod choose;
mod continuous;
mod lane;
mod options;
mod pass;
mod reuse;
mod run_until;
mod sequence;
mod step;
mod stop_strings;

pub use admission::Admission;
pub(crate) use check::check;
pub use continuous::Batch;
pub use options::{BatchOptions, WhenFull};
pub use pass::ScheduledTokens;
pub(crate) use pass::{Work, run as run_pass};
pub use run_until::{Outcome, Until};
pub use sequence::{Completion, FinishReason, Submitted, TokenLogProbabilities};
pub(crate) use sequence::{Parts, Sequence};
pub use step::{Ended, Status, Step, StepToken};

#[cfg(test)]
mod test_models;
