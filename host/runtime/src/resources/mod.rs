//! What scripts hold besides models, batches and windows: requests that are being written, and results that are read
//! part by part. Their bytes are counted ([`Kept`]), for they are the host's memory.

mod kept;
mod request;
mod results;
mod trial;

pub use kept::{Charge, Kept};
pub use request::{Draft, LoadDraft, Prompt};
pub use results::{
    Completed, FlopCounts, FlopShape, Generated, Hardware, HardwareState, Logits, Measurement,
    Progress, Scored, Sequence,
};
pub use trial::{Schedule, Session, Trial};
