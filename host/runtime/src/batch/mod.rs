//! Continuous batches that a script has open.

mod energy;
mod journal;
mod open;

pub use energy::prompt_tokens;
pub use open::{BatchHandle, Kept, OpenBatch};
