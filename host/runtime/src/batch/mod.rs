//! Continuous batches that a script has open.

mod batch_energy;
mod batch_journal;
pub(crate) mod open_batch;

pub(crate) use open_batch::{BatchHandle, OpenBatch, RecordedSequence, StepLimit, StepSummary};
