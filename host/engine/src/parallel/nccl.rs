//! How ranks on GPUs find each other's groups over NCCL.

use super::{
    DeviceGroup, Split,
    fate::Fate,
    group_ids::{GroupIds, is_nccl_asked},
};
use crate::{Error, Result, gpu::Place};
use llem_compute::cuda::nccl;
use std::sync::Arc;

/// How a rank finds the others of its two groups.
pub struct Invitation {
    rank: usize,
    tensor: Option<Membership>,
    pipeline: Option<Membership>,
    fate: Arc<Fate>,
}

/// A rank's membership of a group.
struct Membership {
    id: Vec<u8>,
    index: usize,
    size: usize,
}

/// Makes the ids of each rank's groups. One rank makes them for all.
pub fn group_ids(split: &Split) -> Result<Vec<GroupIds>> {
    // A group of one is only asked for to try NCCL on a machine with one GPU.
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

impl Invitation {
    /// That of rank `index` of a replica, whose number among all ranks is `rank`.
    pub fn new(split: &Split, index: usize, rank: usize, ids: GroupIds, fate: &Arc<Fate>) -> Self {
        let membership =
            |id: Option<Vec<u8>>, index, size| id.map(|id| Membership { id, index, size });
        Self {
            rank,
            tensor: membership(ids.tensor, index % split.tensor, split.tensor),
            pipeline: membership(ids.pipeline, index / split.tensor, split.pipeline),
            fate: Arc::clone(fate),
        }
    }

    /// Joins the groups of ranks and of stages. Returns when all have.
    pub fn accept(self, place: &Place) -> Result<[DeviceGroup; 2]> {
        let (rank, fate) = (self.rank, self.fate);
        let join = |membership: Option<Membership>| -> Result<DeviceGroup> {
            let Some(Membership { id, index, size }) = membership else {
                return Ok(DeviceGroup::Solo);
            };
            let Place::Gpu(gpu) = place else {
                return Err(Error::Unsupported("NCCL is for ranks on GPUs".to_owned()));
            };
            let group = nccl::Group::new(&gpu.device, &id, index, size)?;
            Ok(DeviceGroup::Nccl { group, rank, fate: Arc::clone(&fate) })
        };
        Ok([join(self.tensor)?, join(self.pipeline)?])
    }
}
