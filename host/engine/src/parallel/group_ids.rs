//! NCCL's ids of the groups that a rank belongs to.

use serde::{Deserialize, Serialize};

/// NCCL's ids of a rank's two groups. The rank needs them to find the other ranks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct GroupIds {
    /// Id of the group of ranks of one stage. `None` if the stage has only one rank.
    pub tensor: Option<Vec<u8>>,
    /// Id of the group of ranks that have the same part of all stages. `None` if there is only one stage.
    pub pipeline: Option<Vec<u8>>,
}

/// Name of the environment variable that asks for NCCL if it is `nccl`. Then even a single rank uses NCCL, to try it on
/// a machine with one GPU.
pub const COMMUNICATOR_VARIABLE: &str = "LLEM_COMMUNICATOR";

/// Returns true if [`COMMUNICATOR_VARIABLE`] asks for NCCL.
pub(super) fn is_nccl_asked() -> bool {
    std::env::var_os(COMMUNICATOR_VARIABLE).is_some_and(|value| value == "nccl")
}
