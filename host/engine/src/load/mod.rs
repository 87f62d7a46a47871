//! From what a person typed to weights in memory.

pub mod checkpoint;
pub mod digest;
pub mod files;
pub mod gguf;
mod gguf_metadata;
pub mod hub;
pub mod mapped;
pub mod matrix;
pub mod source;
pub mod synthetic;
pub mod weights;

pub use source::ModelSource;
pub use weights::Weights;

use crate::{DType, Device};

/// What to load, where and how.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Which model.
    pub source: ModelSource,
    /// Number format; none means the checkpoint's own.
    pub dtype: Option<DType>,
    /// Where it is to live.
    pub device: Device,
    /// Seed of synthetic weights.
    pub seed: u64,
}
