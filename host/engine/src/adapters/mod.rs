//! LoRA adapters (arXiv 2106.09685) as PEFT saves them: what they are, where they come from, and which
//! of a model's sequences run with which.
//!
//! ```text
//! source ──► config + tensors ──► every part of the decoder takes what is its own (`layers::Adapt`)
//!                                     attached: rows with the adapter add B A x to W x
//!                                     merged:   W becomes W + B A; unmerged, it is read again
//! ```

mod lifecycle;
mod registry;
pub mod source;
pub mod synthetic;
mod tensors;

pub use registry::{Choice, Registry};
pub use source::AdapterSource;
pub use tensors::{
    AdapterTensors, BaseRows, Factors, Leftovers, Tie, Tokens, Whole, WholeModule, is_same,
};

use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc, time::Duration};

/// An adapter of a model, for as long as that is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AdapterId(pub u32);

/// An attached adapter.
#[derive(Debug)]
pub struct Adapter {
    /// Tells it from the model's others.
    pub id: AdapterId,
    /// What requests call it.
    pub name: String,
    /// Where it came from, as it was resolved.
    pub source: String,
    /// What identifies its config and tensors.
    pub digest: String,
    /// The model that its config says it was trained on.
    pub base_model: Option<String>,
    /// The highest rank of its factors; 0 where it only brings whole weights.
    pub rank: usize,
    /// Whether its weights are split into magnitude and direction (DoRA).
    pub dora: bool,
    /// Modules that it changes.
    pub modules: usize,
    /// Numbers that it brings.
    pub parameters: u64,
    /// Bytes of them in memory.
    pub bytes: u64,
    /// What running it unmerged costs.
    pub flops: AdapterFlops,
    /// From the call to its being attached, without the digest.
    pub attach_time: Duration,
    /// What the run's record is to say of it: what was left out, and what PEFT would not have found.
    pub warnings: Vec<String>,
}

/// Operations that an unmerged adapter adds, a multiply-add counted as two.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AdapterFlops {
    /// For each token that is run.
    pub per_token: f64,
    /// For each position whose logits are needed.
    pub per_logits: f64,
}

/// How an adapter takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Its factors are multiplied beside the base weights, for the rows that run with it.
    Attached,
    /// It is part of the weights, for all rows.
    Merged,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Attached => "attached",
            Self::Merged => "merged",
        })
    }
}

/// The adapter that a sequence runs with.
#[derive(Clone, Debug)]
pub struct Adapted {
    /// Which.
    pub adapter: Arc<Adapter>,
    /// How.
    pub mode: Mode,
}

impl Adapted {
    /// The adapter whose factors are multiplied; none where it is merged.
    pub fn attached(&self) -> Option<&Adapter> {
        (self.mode == Mode::Attached).then_some(&*self.adapter)
    }
}
