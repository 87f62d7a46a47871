//! Drawing tokens on the device with the host's random numbers (`kernels/sampling.cu`).

use crate::{Device, Error, Grid, Kernel, Parameters, Result, Source, View};
use std::sync::Arc;

/// Threads of a block, which the kernel knows: as many tokens are sorted at most.
const THREADS: u32 = 512;

/// How a row's token is drawn, as the kernel reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Draw {
    /// A uniform number in [0, 1), of the sequence's own stream.
    pub share: f64,
    /// Above 0; 0 takes the most likely token.
    pub temperature: f32,
    /// At least 1 and at most the vocabulary, which keeps all.
    pub top_k: u32,
    /// In (0, 1]; 1 keeps all.
    pub top_p: f32,
    /// In [0, 1]; 0 keeps all.
    pub min_p: f32,
}

/// The kernel's parameters.
#[repr(C)]
#[derive(Clone, Copy)]
struct Sample {
    logits: u64,
    index: u64,
    draws: u64,
    out: u64,
    vocab: u64,
}

/// The kernels, compiled for a device.
pub struct Sampling {
    device: Arc<dyn Device>,
    sample: Kernel,
}

impl Sampling {
    /// What stands for the token of a row with a logit that is not a number.
    pub const NOT_A_NUMBER: u32 = u32::MAX;

    /// Compiles them.
    pub fn new(device: &Arc<dyn Device>) -> Result<Self> {
        let source = Source {
            file: "sampling",
            text: include_str!("../../kernels/sampling.cu"),
            defines: Vec::new(),
        };
        Ok(Self { device: Arc::clone(device), sample: device.kernel(&source, "sample")? })
    }

    /// Of logits f32 `[.., vocab]` (row `index[i]`, u32, for draw i) and `[rows]` of [`Draw`] to u32 `[rows]`: the token that the
    /// CPU's sampler (`host/engine/src/sampling`) chooses with the same draw. Sums of probabilities are rounded in another order
    /// there: the tokens differ only where a share or a top-p is within that rounding of where one token ends and the next
    /// begins. A row with a logit that is not a number gives [`Sampling::NOT_A_NUMBER`]. One launch.
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small.
    pub fn sample(
        &self,
        rows: usize,
        vocab: usize,
        logits: View<'_>,
        index: View<'_>,
        draws: View<'_>,
        out: View<'_>,
    ) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        if vocab == 0 {
            return Err(Error::Bug("one of no tokens is to be drawn".to_owned()));
        }
        let parameters = Sample {
            logits: logits.holds("logits", 4 * vocab)?,
            index: index.holds("indices of logits", 4 * rows)?,
            draws: draws.holds("draws", rows * size_of::<Draw>())?,
            out: out.holds("drawn tokens", 4 * rows)?,
            vocab: vocab as u64,
        };
        let grid = Grid { blocks: [rows as u32, 1, 1], threads: THREADS, shared: 0 };
        // SAFETY: the views hold what the kernel reads and writes; the indices name rows of the logits.
        unsafe { self.device.launch(self.sample, grid, Parameters::of(&parameters)) }
    }
}
