//! Which part of a stage's weights a tensor-parallel rank has, and with whom it shares the rest.

use super::{Communicator, Solo, split::part};
use crate::Result;
use candle_core::Tensor;
use std::{ops::Range, sync::Arc};

/// A tensor-parallel rank's part.
#[derive(Clone)]
pub struct Shard {
    /// Its place in the group.
    pub index: usize,
    /// Ranks in the group.
    pub count: usize,
    /// Whether whole experts are dealt out.
    pub experts: bool,
    /// Whether both factors of an adapter are cut.
    pub sharded_adapters: bool,
    /// The group.
    pub group: Arc<dyn Communicator>,
}

impl Shard {
    /// All of everything, alone.
    pub fn whole() -> Self {
        let group = Arc::new(Solo);
        Self { index: 0, count: 1, experts: false, sharded_adapters: false, group }
    }

    /// Whether there is nobody to share with.
    pub fn is_whole(&self) -> bool {
        self.count == 1
    }

    /// Its part of `total` things.
    pub fn of(&self, total: usize) -> Range<usize> {
        part(total, self.index, self.count)
    }

    /// Its part of `total` numbers that come in whole blocks, as far as they do.
    pub fn of_blocks(&self, total: usize, block: usize) -> Range<usize> {
        if !total.is_multiple_of(block) {
            return self.of(total);
        }
        let blocks = self.of(total / block);
        blocks.start * block..blocks.end * block
    }

    /// Its part of `heads` key heads that all ranks together need: some of its own, or one that it has
    /// in common with others.
    pub fn of_heads(&self, heads: usize) -> Range<usize> {
        if heads >= self.count {
            return self.of(heads);
        }
        let head = self.index * heads / self.count;
        head..head + 1
    }

    /// The sum of every rank's `x`.
    pub fn sum(&self, x: Tensor) -> Result<Tensor> {
        if self.group.is_solo() { Ok(x) } else { self.group.all_reduce(x) }
    }

    /// Every rank's columns side by side, where this rank has its part of `total`.
    pub fn gather(&self, x: Tensor, total: usize) -> Result<Tensor> {
        if self.group.is_solo() {
            return Ok(x);
        }
        // Every rank sends as much as the one with the most.
        let widest = total.div_ceil(self.count);
        let padded = match widest - x.dim(1)? {
            0 => x,
            missing => x.pad_with_zeros(1, 0, missing)?,
        };
        let parts = self.group.all_gather(&padded)?;
        let kept = parts
            .iter()
            .enumerate()
            .map(|(index, x)| Ok(x.narrow(1, 0, part(total, index, self.count).len())?))
            .collect::<Result<Vec<_>>>()?;
        Ok(Tensor::cat(&kept, 1)?)
    }
}
