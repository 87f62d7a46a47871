//! Which part of a stage's weights a tensor-parallel rank has.

use super::{Communicator, Solo, split::part_range};
use crate::Result;
use candle_core::Tensor;
use std::{ops::Range, sync::Arc};

/// The part of one tensor-parallel rank, and the group of ranks that have the other parts.
#[derive(Clone)]
pub(crate) struct Shard {
    /// Index of this rank in the group.
    pub index: usize,
    /// Number of ranks in the group.
    pub count: usize,
    /// Whether each rank has whole experts (expert parallelism), instead of a part of every expert.
    pub experts: bool,
    /// Whether both factors of an adapter are split over the ranks.
    pub sharded_adapters: bool,
    pub group: Arc<dyn Communicator>,
}

impl Shard {
    /// Returns the shard of a rank that has all weights alone.
    pub(crate) fn unsplit() -> Self {
        let group = Arc::new(Solo);
        Self { index: 0, count: 1, experts: false, sharded_adapters: false, group }
    }

    /// Returns true if there are no other ranks in the group.
    pub(crate) fn is_unsplit(&self) -> bool {
        self.count == 1
    }

    /// Returns this rank's part of `total` items.
    pub(crate) fn range_of(&self, total: usize) -> Range<usize> {
        part_range(total, self.index, self.count)
    }

    /// Returns this rank's part of `total` numbers without cutting a block. If `total` is not a whole number of
    /// blocks, blocks may be cut.
    pub(crate) fn range_of_blocks(&self, total: usize, block: usize) -> Range<usize> {
        if !total.is_multiple_of(block) {
            return self.range_of(total);
        }
        let blocks = self.range_of(total / block);
        blocks.start * block..blocks.end * block
    }

    /// Returns the key heads that this rank needs of `heads` in all: its own part, or one head that it shares with
    /// other ranks if there are fewer heads than ranks.
    pub(crate) fn range_of_heads(&self, heads: usize) -> Range<usize> {
        if heads >= self.count {
            return self.range_of(heads);
        }
        let head = self.index * heads / self.count;
        head..head + 1
    }

    /// Sums `x` over all ranks.
    ///
    /// # Shapes
    /// - `x`: any shape, the same on all ranks
    /// - returns: the shape of `x`
    pub(crate) fn sum(&self, x: Tensor) -> Result<Tensor> {
        if self.group.is_solo() { Ok(x) } else { self.group.all_reduce(x) }
    }

    /// Puts the columns of all ranks side by side.
    ///
    /// # Shapes
    /// - `x`: `[rows, columns]` with this rank's part of `total` columns
    /// - returns: `[rows, total]`
    pub(crate) fn gather(&self, x: Tensor, total: usize) -> Result<Tensor> {
        if self.group.is_solo() {
            return Ok(x);
        }
        // All ranks send tensors of one shape, as wide as the widest part.
        let widest = total.div_ceil(self.count);
        let padded = match widest - x.dim(1)? {
            0 => x,
            missing => x.pad_with_zeros(1, 0, missing)?,
        };
        let parts = self.group.all_gather(&padded)?;
        let kept = parts
            .iter()
            .enumerate()
            .map(|(index, x)| Ok(x.narrow(1, 0, part_range(total, index, self.count).len())?))
            .collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&kept, 1)?)
    }
}
