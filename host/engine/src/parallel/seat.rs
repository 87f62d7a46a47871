//! A rank's places in its two groups, before its thread has taken them.

use super::{
    Communicator, Shard, Solo, Split,
    cpu_group::{CpuGroup, Transport},
    fate::Fate,
    group_ids::{GroupIds, is_nccl_asked},
    nccl::{self, Invitation},
    threads::Threads,
};
use crate::{Result, dtype::Device};
use std::sync::Arc;

/// What a rank brings along to sit down with the others.
pub enum Seat {
    /// There are no others.
    Alone,
    /// A place among threads of this process, or among processes, with tensors in the CPU's memory.
    Cpu {
        /// The ranks of its stage.
        tensor: Arc<dyn Communicator>,
        /// The ranks that have its part of the other stages.
        pipeline: Arc<dyn Communicator>,
    },
    /// A place among GPUs. The groups form when all ranks sit down at the same time.
    Nccl(Invitation),
}

/// A rank's places, taken.
pub struct Seated {
    /// Its part of a stage's weights, with the ranks that share it.
    pub shard: Shard,
    /// The ranks that have its part of the other stages.
    pub pipeline: Arc<dyn Communicator>,
    /// Where those are GPUs: how its two groups form once its device is open.
    pub invitation: Option<Invitation>,
}

impl Seat {
    /// Takes the places, on the rank's own thread.
    pub fn sit(self, split: &Split, index: usize) -> Seated {
        let solo = || Arc::new(Solo) as Arc<dyn Communicator>;
        let (group, pipeline, invitation) = match self {
            Self::Alone => (solo(), solo(), None),
            Self::Cpu { tensor, pipeline } => (tensor, pipeline, None),
            Self::Nccl(invitation) => (solo(), solo(), Some(invitation)),
        };
        let shard = Shard {
            index: index % split.tensor,
            count: split.tensor,
            experts: split.experts,
            sharded_adapters: split.sharded_adapters,
            group,
        };
        Seated { shard, pipeline, invitation }
    }

    /// A seat over a transport to each group.
    pub fn over<T: Transport + 'static>(tensor: T, pipeline: T) -> Self {
        Self::Cpu {
            tensor: Arc::new(CpuGroup::new(tensor)),
            pipeline: Arc::new(CpuGroup::new(pipeline)),
        }
    }
}

/// The seats of a replica whose ranks, `first` and those after it, are threads of this process.
pub fn among_threads(
    split: &Split,
    first: usize,
    device: Device,
    fate: &Arc<Fate>,
) -> Result<Vec<Seat>> {
    let ranks = split.ranks_of_replica();
    if matches!(device, Device::Cuda(_)) && (ranks > 1 || is_nccl_asked()) {
        let seat = |(index, ids)| among_gpus(split, index, first + index, ids, fate);
        return Ok(nccl::group_ids(split)?.into_iter().enumerate().map(seat).collect());
    }
    if ranks == 1 {
        return Ok(vec![Seat::Alone]);
    }
    let stages = (0..split.pipeline).map(|stage| {
        let start = first + stage * split.tensor;
        Threads::group(&(start..start + split.tensor).collect::<Vec<_>>(), fate)
    });
    let pipelines: Vec<Vec<Threads>> = (0..split.tensor)
        .map(|index| {
            let ranks = (0..split.pipeline).map(|stage| first + stage * split.tensor + index);
            Threads::group(&ranks.collect::<Vec<_>>(), fate)
        })
        .collect();
    let mut pipelines: Vec<_> = pipelines.into_iter().map(Vec::into_iter).collect();
    let mut seats = Vec::with_capacity(ranks);
    for stage in stages {
        for (tensor, pipeline) in stage.into_iter().zip(&mut pipelines) {
            seats.extend(pipeline.next().map(|pipeline| Seat::over(tensor, pipeline)));
        }
    }
    Ok(seats)
}

/// The seat of rank `index` of a replica, whose number among all ranks is `rank`.
pub fn among_gpus(
    split: &Split,
    index: usize,
    rank: usize,
    ids: GroupIds,
    fate: &Arc<Fate>,
) -> Seat {
    Seat::Nccl(Invitation::new(split, index, rank, ids, fate))
}
