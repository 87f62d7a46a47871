//! LoRA adapters (arXiv 2106.09685) in PEFT's format: where they come from, what they change, and which sequences run
//! with which adapter.
//!
//! ```text
//! source ──► config + tensors ──► every part of the decoder takes what is its own (`layers::AdapterTarget`)
//!                                     attached: rows with the adapter add B A x to W x
//!                                     merged:   W becomes W + B A; unmerged, it is read again
//! ```

pub(crate) mod adapter_source;
mod lifecycle;
mod registry;
pub(crate) mod synthetic_adapter;
mod tensors;

pub use adapter_source::AdapterSource;
pub(crate) use registry::AdapterRegistry;
pub use registry::AdapterSelection;
pub(crate) use tensors::{
    AdapterTensors, BaseRows, Factors, Leftovers, Tie, WholeModule, WholeWeight, is_same,
};

use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc, time::Duration};

/// Identifies an adapter among those of a loaded model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AdapterId(pub u32);

/// An attached adapter.
#[derive(Debug)]
pub struct Adapter {
    /// The id of the adapter among those of its model.
    pub id: AdapterId,
    /// The name by which requests refer to the adapter.
    pub name: String,
    /// The resolved source.
    pub source: String,
    /// Digest of the config and the tensors.
    pub digest: String,
    /// The model that the adapter was trained on, as its config says.
    pub base_model: Option<String>,
    /// The highest rank of the adapter's factors. 0 if it has only whole weights.
    pub rank: usize,
    /// Whether the adapter splits weights into magnitude and direction (DoRA).
    pub dora: bool,
    /// Number of modules that the adapter changes.
    pub modules: usize,
    /// Number of parameters of the adapter.
    pub parameters: u64,
    /// Bytes of these parameters in memory.
    pub bytes: u64,
    /// FLOP that the adapter adds while it is not merged.
    pub flops: AdapterFlops,
    /// Time to attach the adapter, without computing the digest.
    pub attach_time: Duration,
    /// Sentences for the run record: tensors that were left out, and tensors that PEFT would not have found.
    pub warnings: Vec<String>,
}

/// FLOP that an adapter adds while it is not merged. A multiply-add counts as two.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AdapterFlops {
    /// FLOP for each token that is run.
    pub per_token: f64,
    /// FLOP for each position whose logits are needed.
    pub per_logits: f64,
}

/// How an adapter changes the model's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdapterMode {
    /// The factors are multiplied next to the base weights, for the rows that run with the adapter.
    Attached,
    /// The adapter is part of the weights, for all rows.
    Merged,
}

impl fmt::Display for AdapterMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attached => "attached",
            Self::Merged => "merged",
        })
    }
}

/// The adapter that a sequence runs with.
#[derive(Clone, Debug)]
pub struct ActiveAdapter {
    /// The adapter itself.
    pub adapter: Arc<Adapter>,
    /// Whether the adapter is attached or merged.
    pub mode: AdapterMode,
}

impl ActiveAdapter {
    /// Returns the adapter if its factors are multiplied, and `None` if it is merged.
    pub fn attached(&self) -> Option<&Adapter> {
        (self.mode == AdapterMode::Attached).then_some(&*self.adapter)
    }
}
