//! The two groups that a rank belongs to: the ranks of its stage, and the ranks with the same part of the other
//! stages.

use super::{
    Communicator, Shard, Solo, Split,
    cpu_group::{CpuGroup, Transport},
    failure::FailureState,
    group_ids::{GroupIds, is_nccl_asked},
    nccl_init::{self, NcclInit},
    thread_transport::ThreadTransport,
};
use crate::{DeviceId, Result};
use std::sync::Arc;

/// A rank's membership of its two groups, before the rank's own thread has joined them.
pub(crate) enum GroupMembership {
    /// The rank is alone.
    Alone,
    /// Tensors in the CPU's memory, exchanged between threads of this process or between processes.
    Cpu {
        /// The ranks of this rank's stage.
        tensor: Arc<dyn Communicator>,
        /// The ranks that have this rank's part of the other stages.
        pipeline: Arc<dyn Communicator>,
    },
    /// GPUs over NCCL. The groups form when all ranks join at the same time.
    Nccl(NcclInit),
}

/// The groups that a rank has joined.
pub(crate) struct JoinedGroups {
    /// This rank's part of a stage's weights, with the group of ranks that have the other parts.
    pub shard: Shard,
    /// The ranks that have this rank's part of the other stages.
    pub pipeline: Arc<dyn Communicator>,
    /// How the two groups form once the device is open, if the ranks are on GPUs.
    pub nccl_init: Option<NcclInit>,
}

impl GroupMembership {
    /// Joins the groups. Must be called on the rank's own thread. `index` is the rank's index in its replica.
    pub(crate) fn join(self, split: &Split, index: usize) -> JoinedGroups {
        let solo = || Arc::new(Solo) as Arc<dyn Communicator>;
        let (group, pipeline, nccl_init) = match self {
            Self::Alone => (solo(), solo(), None),
            Self::Cpu { tensor, pipeline } => (tensor, pipeline, None),
            Self::Nccl(nccl_init) => (solo(), solo(), Some(nccl_init)),
        };
        let shard = Shard {
            index: index % split.tensor,
            count: split.tensor,
            experts: split.experts,
            sharded_adapters: split.sharded_adapters,
            group,
        };
        JoinedGroups { shard, pipeline, nccl_init }
    }

    /// Creates a membership with one transport for each group.
    pub(crate) fn with_transports<T: Transport + 'static>(tensor: T, pipeline: T) -> Self {
        Self::Cpu {
            tensor: Arc::new(CpuGroup::new(tensor)),
            pipeline: Arc::new(CpuGroup::new(pipeline)),
        }
    }

    /// Creates the memberships of one replica whose ranks are threads of this process. `first` is the number of its
    /// first rank.
    pub(crate) fn for_threads(
        split: &Split,
        first: usize,
        device: DeviceId,
        failure: &Arc<FailureState>,
    ) -> Result<Vec<GroupMembership>> {
        let ranks = split.ranks_of_replica();
        if matches!(device, DeviceId::Cuda(_)) && (ranks > 1 || is_nccl_asked()) {
            let membership =
                |(index, ids)| Self::for_gpu(split, index, first + index, ids, failure);
            return Ok(nccl_init::group_ids(split)?
                .into_iter()
                .enumerate()
                .map(membership)
                .collect());
        }
        if ranks == 1 {
            return Ok(vec![GroupMembership::Alone]);
        }
        let stages = (0..split.pipeline).map(|stage| {
            let start = first + stage * split.tensor;
            ThreadTransport::group(&(start..start + split.tensor).collect::<Vec<_>>(), failure)
        });
        let pipelines: Vec<Vec<ThreadTransport>> = (0..split.tensor)
            .map(|index| {
                let ranks = (0..split.pipeline).map(|stage| first + stage * split.tensor + index);
                ThreadTransport::group(&ranks.collect::<Vec<_>>(), failure)
            })
            .collect();
        let mut pipelines: Vec<_> = pipelines.into_iter().map(Vec::into_iter).collect();
        let mut memberships = Vec::with_capacity(ranks);
        for stage in stages {
            for (tensor, pipeline) in stage.into_iter().zip(&mut pipelines) {
                memberships.extend(
                    pipeline
                        .next()
                        .map(|pipeline| GroupMembership::with_transports(tensor, pipeline)),
                );
            }
        }
        Ok(memberships)
    }

    /// The membership of rank `index` of a replica, whose number among all ranks is `rank`.
    pub(crate) fn for_gpu(
        split: &Split,
        index: usize,
        rank: usize,
        ids: GroupIds,
        failure: &Arc<FailureState>,
    ) -> GroupMembership {
        GroupMembership::Nccl(NcclInit::new(split, index, rank, ids, failure))
    }
}
