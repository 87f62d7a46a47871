//! The most likely token of each row of logits and the log-likelihood of a given token, in one launch
//! (`kernels/logits.cu`).

use crate::{
    ComputeDevice, Error, Kernel, KernelParameters, KernelSource, LaunchGrid, Result, View,
};
use std::sync::Arc;

/// Threads of a block. Each block reads a whole row.
const THREADS: u32 = 512;

/// What the kernel writes for a row of logits (`struct Found` of `kernels/logits.cu`).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LogitSummary {
    /// The most likely token. If several tokens have the largest logit, the first of them.
    pub token: u32,
    /// 1 if any logit is NaN, otherwise 0.
    pub has_nan: u32,
    /// Natural logarithm of the target's softmax probability, in f64 as in `host/engine/src/score`. 0 without a target.
    /// NaN if a logit is NaN or if the largest is infinite.
    pub log_likelihood: f64,
}

/// Mirrors `struct Find` of `kernels/logits.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct FindParameters {
    logits: u64,
    index: u64,
    targets: u64,
    out: u64,
    vocab: u64,
}

/// The kernel that summarises logits, compiled for one device.
pub struct LogitKernels {
    device: Arc<dyn ComputeDevice>,
    find: Kernel,
}

impl LogitKernels {
    /// Compiles the kernel, or takes it from the cache.
    pub fn new(device: &Arc<dyn ComputeDevice>) -> Result<Self> {
        let source = KernelSource {
            file: "logits",
            text: include_str!("../../kernels/logits.cu"),
            defines: Vec::new(),
        };
        Ok(Self { device: Arc::clone(device), find: device.kernel(&source, "find")? })
    }

    /// Queues the summary of `rows` rows of logits, one launch. Without `index`, the rows are the first ones of
    /// `logits`. Without `targets`, log-likelihoods are 0.
    ///
    /// # Shapes
    /// - `logits`: f32 `[.., vocab]`
    /// - `index`: u32 `[rows]`, the row of `logits` that each summary is of
    /// - `targets`: u32 `[rows]`, the token whose log-likelihood is wanted
    /// - `out`: `[rows]` of [`LogitSummary`], written
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small or `vocab` is 0.
    pub fn find(
        &self,
        rows: usize,
        vocab: usize,
        logits: View<'_>,
        index: Option<View<'_>>,
        targets: Option<View<'_>>,
        out: View<'_>,
    ) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        if vocab == 0 {
            return Err(Error::Bug("the most likely of no tokens is asked for".to_owned()));
        }
        let rows_of_logits = if index.is_some() { 1 } else { rows };
        let of_rows = |view: Option<View<'_>>, what| match view {
            Some(view) => view.checked_address(what, 4 * rows),
            None => Ok(0),
        };
        let parameters = FindParameters {
            logits: logits.checked_address("logits", 4 * rows_of_logits * vocab)?,
            index: of_rows(index, "indices of logits")?,
            targets: of_rows(targets, "targets")?,
            out: out
                .checked_address("what is found of logits", rows * size_of::<LogitSummary>())?,
            vocab: vocab as u64,
        };
        let grid = LaunchGrid { blocks: [rows as u32, 1, 1], threads: THREADS, shared: 0 };
        // SAFETY: the views hold what the kernel reads and writes; the indices name rows of the logits, and targets tokens.
        unsafe { self.device.launch(self.find, grid, KernelParameters::new(&parameters)) }
    }
}
