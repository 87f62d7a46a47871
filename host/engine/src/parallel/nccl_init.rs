//! How the groups of ranks on GPUs form over NCCL.

use super::{
    DeviceGroup, Split,
    failure::FailureState,
    group_ids::{GroupIds, is_nccl_asked},
};
use crate::{Error, Result, gpu::Backend};
use llem_compute::cuda::nccl;
use std::sync::Arc;

/// What a rank needs to join its two NCCL groups.
pub(crate) struct NcclInit {
    rank: usize,
    tensor: Option<NcclGroup>,
    pipeline: Option<NcclGroup>,
    failure: Arc<FailureState>,
}

/// The id of one NCCL group, and the rank's index in it.
struct NcclGroup {
    id: Vec<u8>,
    index: usize,
    size: usize,
}

/// Makes the ids of the groups of each rank. One rank makes them for all ranks.
pub(super) fn group_ids(split: &Split) -> Result<Vec<GroupIds>> {
    // NCCL is used for a group of one rank only if the user asks for it, to try NCCL on a machine with one GPU.
    let least = if is_nccl_asked() { 1 } else { 2 };
    let ids = |size: usize, count: usize| -> Result<Vec<Option<Vec<u8>>>> {
        let id = || Ok(nccl::new_id()?);
        (0..count).map(|_| (size >= least).then(id).transpose()).collect()
    };
    let stages = ids(split.tensor, split.pipeline)?;
    let pipelines = ids(split.pipeline, split.tensor)?;
    let of_rank = |index: usize| GroupIds {
        tensor: stages[index / split.tensor].clone(),
        pipeline: pipelines[index % split.tensor].clone(),
    };
    Ok((0..split.ranks_of_replica()).map(of_rank).collect())
}

impl NcclInit {
    /// Creates the membership of rank `index` of a replica. `rank` is its number among all ranks.
    pub(crate) fn new(
        split: &Split,
        index: usize,
        rank: usize,
        ids: GroupIds,
        failure: &Arc<FailureState>,
    ) -> Self {
        let membership =
            |id: Option<Vec<u8>>, index, size| id.map(|id| NcclGroup { id, index, size });
        Self {
            rank,
            tensor: membership(ids.tensor, index % split.tensor, split.tensor),
            pipeline: membership(ids.pipeline, index / split.tensor, split.pipeline),
            failure: Arc::clone(failure),
        }
    }

    /// Joins the groups of the rank's stage and of its pipeline. Returns when all ranks have joined.
    pub(crate) fn join(self, place: &Backend) -> Result<[DeviceGroup; 2]> {
        let (rank, failure) = (self.rank, self.failure);
        let join = |membership: Option<NcclGroup>| -> Result<DeviceGroup> {
            let Some(NcclGroup { id, index, size }) = membership else {
                return Ok(DeviceGroup::Solo);
            };
            let Backend::Gpu(gpu) = place else {
                return Err(Error::Unsupported("NCCL is for ranks on GPUs".to_owned()));
            };
            let group = nccl::NcclCommunicator::new(&gpu.device, &id, index, size)?;
            Ok(DeviceGroup::Nccl { group, rank, failure: Arc::clone(&failure) })
        };
        Ok([join(self.tensor)?, join(self.pipeline)?])
    }
}
