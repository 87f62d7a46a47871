//! Memory for the intermediate results of layers.

use crate::Result;
use llem_compute::{Buffer, ComputeDevice, View};
use std::{cell::Cell, sync::Arc};

/// The alignment of each piece, in bytes. Kernels read 16 bytes at a time.
const ALIGNMENT: usize = 256;

/// One buffer on the device, of which each [`take`](Self::take) returns the next piece.
///
/// The kernels of one stream run in order. Therefore a piece may be taken again while a kernel that reads it is still
/// queued.
pub(crate) struct Arena {
    buffer: Buffer,
    used: Cell<usize>,
}

impl Arena {
    /// Allocates an arena of `bytes` bytes.
    pub(crate) fn new(device: &Arc<dyn ComputeDevice>, bytes: usize) -> Result<Self> {
        Ok(Self { buffer: Buffer::new(device, bytes)?, used: Cell::new(0) })
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// Returns [`crate::Error::Bug`] if the arena is full:
    /// [`Decoder::arena_bytes`](crate::decoder::Decoder::arena_bytes) has counted too little.
    pub(crate) fn take(&self, bytes: usize) -> Result<View<'_>> {
        let start = self.used.get();
        let view = self.buffer.view().part(start, bytes)?;
        self.used.set(start + padded(bytes));
        Ok(view)
    }

    /// Runs `work`, and then frees all pieces that it has taken.
    pub(crate) fn scoped<R>(&self, work: impl FnOnce() -> Result<R>) -> Result<R> {
        let before = self.used.get();
        let result = work();
        self.used.set(before);
        result
    }

    /// Returns the size of the arena, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.buffer.bytes()
    }
}

/// Returns the bytes that a piece takes with its padding.
pub(super) fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}
