//! What a rank keeps from one pass to the next so that a pass allocates nothing.

use super::{Arena, DeviceLogits, Gpu, Plan};
use crate::Result;
use llem_compute::{
    Buffer,
    ops::{logits::Found, sampling::Draw},
};
use std::sync::Arc;

/// Bytes of scratch for each row of logits: what is found of it, its draw, which it is, and its target or token.
const SCRATCH: usize = size_of::<Found>() + size_of::<Draw>() + 2 * size_of::<u32>();

/// Tables, memory for what layers pass on, and logits. They grow when a pass is larger than all before.
pub struct Workspace {
    gpu: Arc<Gpu>,
    /// The tables of the pass.
    pub plan: Plan,
    /// What layers pass on.
    pub arena: Arena,
    /// Hidden states of the rows whose logits are wanted, where they come from several parts of a pass.
    hidden: Buffer,
    logits: Arc<Buffer>,
    scratch: Arc<Buffer>,
}

impl Workspace {
    /// Room for nothing yet.
    pub fn new(gpu: &Arc<Gpu>) -> Result<Self> {
        let empty = || Ok::<_, crate::Error>(Buffer::new(&gpu.device, 1)?);
        Ok(Self {
            plan: Plan::new(gpu)?,
            arena: Arena::new(&gpu.device, 1)?,
            hidden: empty()?,
            logits: Arc::new(empty()?),
            scratch: Arc::new(empty()?),
            gpu: Arc::clone(gpu),
        })
    }

    /// Makes room for what layers pass on.
    pub fn reserve_arena(&mut self, bytes: usize) -> Result<()> {
        if bytes > self.arena.bytes() {
            // The old one goes first: the two together may not fit.
            self.arena = Arena::new(&self.gpu.device, 1)?;
            self.arena = Arena::new(&self.gpu.device, bytes)?;
        }
        Ok(())
    }

    /// Makes room for the logits of so many rows, and for their hidden states of so many bytes.
    pub fn reserve_logits(&mut self, rows: usize, vocab: usize, hidden: usize) -> Result<()> {
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

    /// Hidden states, `[wanted, hidden]`.
    pub fn hidden(&self) -> &Buffer {
        &self.hidden
    }

    /// The logits of so many rows.
    pub fn logits(&self, rows: usize, vocab: usize) -> DeviceLogits {
        DeviceLogits {
            gpu: Arc::clone(&self.gpu),
            buffer: Arc::clone(&self.logits),
            scratch: Arc::clone(&self.scratch),
            rows,
            vocab,
        }
    }
}
