//! The things that a layer needs to queue its kernels.

use super::{Arena, Gpu};
use crate::{Result, adapters::AdapterId, parallel::DeviceGroup};
use llem_compute::View;

/// The device, the memory and the rows that a layer queues its kernels with.
#[derive(Clone, Copy)]
pub(crate) struct KernelContext<'a> {
    /// The device and its kernels.
    pub gpu: &'a Gpu,
    /// Memory for intermediate results.
    pub arena: &'a Arena,
    /// The ranks of the stage.
    pub group: &'a DeviceGroup,
    /// The number of rows.
    pub rows: usize,
    /// The adapters of the rows, or `None` if every row runs on the base weights.
    pub adapters: Option<RowAdapters<'a>>,
}

impl<'a> KernelContext<'a> {
    /// Takes memory for `[rows, width]` in the model's format from the arena.
    pub(crate) fn take(&self, rows: usize, width: usize) -> Result<View<'a>> {
        self.arena.take(rows * width * self.gpu.dtype.size())
    }

    /// Returns the adapters of the rows if `has_change` is true for one of them.
    pub(crate) fn changed(
        &self,
        has_change: impl Fn(AdapterId) -> bool,
    ) -> Option<RowAdapters<'a>> {
        self.adapters.filter(|adapters| adapters.taking.iter().any(|&id| has_change(id)))
    }
}

/// The adapters that the rows of a pass run with.
#[derive(Clone, Copy)]
pub(crate) struct RowAdapters<'a> {
    /// u32, `[rows]`: the slot of each row's adapter, or `NONE`.
    pub rows: View<'a>,
    /// The adapters that take part.
    pub taking: &'a [AdapterId],
    /// The number of attached adapters.
    pub slots: usize,
}
