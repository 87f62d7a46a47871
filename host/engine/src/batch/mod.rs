//! Sequences that share forward passes, whether they all start together ([`crate::Model::generate`]) or join and
//! leave at any step ([`Batch`]).
//!
//! ```text
//! pass   a a a a a a b b b b c      prompt chunks of a and b, one decode row of c
//!        └────────── rows of one matrix: every product reads its weights once for all
//! attention: each sequence over its own KV cache, so that no token depends on its neighbours
//! ```

mod admission;
mod batch_options;
mod batch_step;
mod caller_choice;
mod continuous_batch;
mod forward_pass;
mod kv_reuse;
mod replica_batch;
mod request_check;
mod run_until;
mod select_tokens;
mod sequence;
mod stop_strings;

pub use admission::Admission;
pub use batch_options::{BatchOptions, WhenFull};
pub use batch_step::{BatchStatus, BatchStep, EndedSequence, StepToken};
pub use continuous_batch::Batch;
pub use forward_pass::ScheduledTokens;
pub(crate) use forward_pass::{PassKind, run_pass};
pub(crate) use request_check::check_request;
pub use run_until::{RunOutcome, Until};
pub use sequence::{Completion, FinishReason, SubmittedSequence, TokenLogProbabilities};
pub(crate) use sequence::{ModelParts, Sequence};

#[cfg(test)]
mod test_models;
