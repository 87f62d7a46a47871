//! The memory on a device that a rank reuses from one pass to the next, so that a pass allocates nothing.

use super::{Arena, DeviceLogits, Gpu, PassTables};
use crate::Result;
use llem_compute::{
    Buffer,
    ops::{logits::LogitSummary, sampling::Draw},
};
use std::sync::Arc;

/// The bytes of scratch memory for each row of logits: its statistics, its draw, its index, and its target or token.
const SCRATCH: usize = size_of::<LogitSummary>() + size_of::<Draw>() + 2 * size_of::<u32>();

/// The tables, intermediate results and logits of a rank's passes. They grow when a pass is larger than all before.
pub(crate) struct Workspace {
    gpu: Arc<Gpu>,
    /// The tables of the pass.
    pub tables: PassTables,
    /// Memory for the intermediate results of layers.
    pub arena: Arena,
    /// The hidden states of the rows whose logits are wanted, if they come from several parts of a pass.
    hidden: Buffer,
    logits: Arc<Buffer>,
    scratch: Arc<Buffer>,
}

impl Workspace {
    /// Makes an empty workspace.
    pub(crate) fn new(gpu: &Arc<Gpu>) -> Result<Self> {
        let empty = || Ok::<_, crate::Error>(Buffer::new(&gpu.device, 1)?);
        Ok(Self {
            tables: PassTables::new(gpu)?,
            arena: Arena::new(&gpu.device, 1)?,
            hidden: empty()?,
            logits: Arc::new(empty()?),
            scratch: Arc::new(empty()?),
            gpu: Arc::clone(gpu),
        })
    }

    /// Grows the memory for intermediate results to at least `bytes`.
    pub(crate) fn reserve_arena(&mut self, bytes: usize) -> Result<()> {
        if bytes > self.arena.bytes() {
            // The old arena is freed first, because the two together may not fit.
            self.arena = Arena::new(&self.gpu.device, 1)?;
            self.arena = Arena::new(&self.gpu.device, bytes)?;
        }
        Ok(())
    }

    /// Grows the memory for the logits of `rows` rows, and for their hidden states of `hidden` bytes.
    pub(crate) fn reserve_logits(
        &mut self,
        rows: usize,
        vocab: usize,
        hidden: usize,
    ) -> Result<()> {
        let device = &self.gpu.device;
        let reserve = |buffer: &mut Arc<Buffer>, bytes: usize| -> Result<()> {
            if bytes > buffer.bytes() {
                *buffer = Arc::new(Buffer::new(device, 1)?);
                *buffer = Arc::new(Buffer::new(device, bytes)?);
            }
            Ok(())
        };
        reserve(&mut self.logits, rows * vocab * size_of::<f32>())?;
        reserve(&mut self.scratch, rows * SCRATCH)?;
        if hidden > self.hidden.bytes() {
            self.hidden = Buffer::new(device, hidden)?;
        }
        Ok(())
    }

    /// Returns the hidden states of the rows whose logits are wanted, `[wanted, hidden]`.
    pub(crate) fn hidden(&self) -> &Buffer {
        &self.hidden
    }

    /// Returns the logits of the pass.
    ///
    /// # Shapes
    /// - returns: `[rows, vocab]`
    pub(crate) fn logits(&self, rows: usize, vocab: usize) -> DeviceLogits {
        DeviceLogits {
            gpu: Arc::clone(&self.gpu),
            buffer: Arc::clone(&self.logits),
            scratch: Arc::clone(&self.scratch),
            rows,
            vocab,
        }
    }
}
