//! The resources that scripts hold, apart from models, batches and windows: requests that are being written, and
//! results that are read part by part. They take host memory, so their bytes are counted ([`HostMemory`]).

#![allow(unreachable_pub, reason = "the generated bindings re-export these types")]

mod drafts;
mod host_memory;
mod results;
mod trial;

pub(crate) use drafts::Prompt;
pub use drafts::{LoadOptionsDraft, RequestDraft};
pub(crate) use host_memory::{Charge, HostMemory};
pub(crate) use results::SequenceResult;
pub use results::{
    BatchProgress, CompletedSequence, FlopCounts, FlopShape, GenerationResult, Hardware,
    HardwareState, Measurement, NextTokenLogits, ScoringResult,
};
pub use trial::{Schedule, Session, Trial};
