//! Sampling of tokens on the device with the host's random numbers (`kernels/sampling.cu`).

use crate::{
    ComputeDevice, Error, Kernel, KernelParameters, KernelSource, LaunchGrid, Result, View,
};
use std::sync::Arc;

/// Threads of a block. The kernel has the same constant, and sorts at most this many tokens.
const THREADS: u32 = 512;

/// How a row's token is drawn, as the kernel reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Draw {
    /// A uniform random number in [0, 1), from the sequence's own random stream.
    pub share: f64,
    /// Temperature. 0 takes the most likely token.
    pub temperature: f32,
    /// Number of most likely tokens that are kept: at least 1. The size of the vocabulary keeps all.
    pub top_k: u32,
    /// Probability mass that is kept, in (0, 1]. 1 keeps all tokens.
    pub top_p: f32,
    /// Smallest kept probability as a share of the largest one, in [0, 1]. 0 keeps all tokens.
    pub min_p: f32,
}

/// Mirrors `struct Sample` of `kernels/sampling.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct SampleParameters {
    logits: u64,
    index: u64,
    draws: u64,
    out: u64,
    vocab: u64,
}

/// The sampling kernel, compiled for one device.
pub struct SamplingKernel {
    device: Arc<dyn ComputeDevice>,
    sample: Kernel,
}

impl SamplingKernel {
    /// The token that the kernel writes for a row with a NaN among its logits.
    pub const NOT_A_NUMBER: u32 = u32::MAX;

    /// Compiles the kernel, or takes it from the cache.
    pub fn new(device: &Arc<dyn ComputeDevice>) -> Result<Self> {
        let source = KernelSource {
            file: "sampling",
            text: include_str!("../../kernels/sampling.cu"),
            defines: Vec::new(),
        };
        Ok(Self { device: Arc::clone(device), sample: device.kernel(&source, "sample")? })
    }

    /// Queues one draw for each row, one launch. A row with a NaN gives [`SamplingKernel::NOT_A_NUMBER`].
    ///
    /// The CPU's sampler (`host/engine/src/sampling`) chooses the same token with the same draw, with one exception.
    /// Both sum probabilities in f64 but in a different order. So the tokens can differ if a share or a top-p lies
    /// within that rounding error of the boundary between two tokens.
    ///
    /// # Shapes
    /// - `logits`: f32 `[.., vocab]`
    /// - `index`: u32 `[rows]`, row of `logits` for each draw
    /// - `draws`: `[rows]` of [`Draw`]
    /// - `out`: u32 `[rows]`, written
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small or `vocab` is 0.
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
        let parameters = SampleParameters {
            logits: logits.checked_address("logits", 4 * vocab)?,
            index: index.checked_address("indices of logits", 4 * rows)?,
            draws: draws.checked_address("draws", rows * size_of::<Draw>())?,
            out: out.checked_address("drawn tokens", 4 * rows)?,
            vocab: vocab as u64,
        };
        let grid = LaunchGrid { blocks: [rows as u32, 1, 1], threads: THREADS, shared: 0 };
        // SAFETY: the views hold what the kernel reads and writes; the indices name rows of the logits.
        unsafe { self.device.launch(self.sample, grid, KernelParameters::new(&parameters)) }
    }
}
