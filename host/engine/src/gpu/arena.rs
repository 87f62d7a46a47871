//! Memory for what layers pass on, taken piece by piece and given back as a whole.

use crate::Result;
use llem_compute::{Buffer, Device, View};
use std::{cell::Cell, sync::Arc};

/// What kernels read in 16 bytes at a time begins at a multiple of this.
const ALIGNMENT: usize = 256;

/// One buffer, of which each taker gets the next piece. Work on one stream is done in order, so that a piece may be taken
/// again while what read it is still queued.
pub struct Arena {
    buffer: Buffer,
    used: Cell<usize>,
}

impl Arena {
    /// With so many bytes.
    pub fn new(device: &Arc<dyn Device>, bytes: usize) -> Result<Self> {
        Ok(Self { buffer: Buffer::new(device, bytes)?, used: Cell::new(0) })
    }

    /// The next piece.
    ///
    /// # Errors
    /// [`crate::Error::Bug`] if there is no more: whoever made it has counted wrongly.
    pub fn take(&self, bytes: usize) -> Result<View<'_>> {
        let start = self.used.get();
        let view = self.buffer.view().part(start, bytes)?;
        self.used.set(start + padded(bytes));
        Ok(view)
    }

    /// Lets `work` take pieces, which are given back when it returns.
    pub fn scoped<R>(&self, work: impl FnOnce() -> Result<R>) -> Result<R> {
        let before = self.used.get();
        let result = work();
        self.used.set(before);
        result
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.buffer.bytes()
    }
}

/// What a piece of so many bytes takes.
pub fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}
