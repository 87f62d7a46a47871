//! How ranks on GPUs find each other.

use serde::{Deserialize, Serialize};

/// What ranks on GPUs need to find each other's groups, as NCCL makes it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GroupIds {
    /// Of the ranks of a stage; none where that is one rank.
    pub tensor: Option<Vec<u8>>,
    /// Of the ranks that have the same part of all stages.
    pub pipeline: Option<Vec<u8>>,
}

/// Whether even a rank that is alone is to go through NCCL: `LLEM_COMMUNICATOR=nccl`, to try it on a
/// machine with one GPU.
pub fn is_nccl_asked() -> bool {
    std::env::var_os("LLEM_COMMUNICATOR").is_some_and(|value| value == "nccl")
}
