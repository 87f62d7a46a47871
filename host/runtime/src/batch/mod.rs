//! Continuous batches that a script has open.

mod energy;
mod journal;
mod open;

pub use open::{BatchHandle, Kept, Length, OpenBatch, Stretch};
