//! The most likely token of each row and its likelihood, in one launch (`kernels/logits.cu`).

use crate::{Device, Error, Grid, Kernel, Parameters, Result, Source, View};
use std::sync::Arc;

/// Threads of a block, which reads a whole row.
const THREADS: u32 = 512;

/// What is found of a row, as the kernel writes it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Found {
    /// The most likely token: the first of the largest logits.
    pub token: u32,
    /// Whether any logit is not a number: 1, or else 0.
    pub has_nan: u32,
    /// `ln softmax` of the target, 0 without one; in f64 as `host/engine/src/score` takes it. Not a
    /// number where a logit is not, or where the largest is infinite.
    pub log_likelihood: f64,
}

/// The kernel's parameters.
#[repr(C)]
#[derive(Clone, Copy)]
struct Find {
    logits: u64,
    index: u64,
    targets: u64,
    out: u64,
    vocab: u64,
}

/// The kernels, compiled for a device.
pub struct Logits {
    device: Arc<dyn Device>,
    find: Kernel,
}

impl Logits {
    /// Compiles them.
    pub fn new(device: &Arc<dyn Device>) -> Result<Self> {
        let source = Source {
            file: "logits",
            text: include_str!("../../kernels/logits.cu"),
            defines: Vec::new(),
        };
        Ok(Self { device: Arc::clone(device), find: device.kernel(&source, "find")? })
    }

    /// Of logits f32 `[.., vocab]`, with targets u32 `[rows]` where likelihoods of certain tokens are wanted, to `[rows]` of
    /// [`Found`]. `index`, u32 `[rows]`, says which row of the logits each is of; without it, they are the first `rows`. One
    /// launch.
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small.
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
            Some(view) => view.holds(what, 4 * rows),
            None => Ok(0),
        };
        let parameters = Find {
            logits: logits.holds("logits", 4 * rows_of_logits * vocab)?,
            index: of_rows(index, "indices of logits")?,
            targets: of_rows(targets, "targets")?,
            out: out.holds("what is found of logits", rows * size_of::<Found>())?,
            vocab: vocab as u64,
        };
        let grid = Grid { blocks: [rows as u32, 1, 1], threads: THREADS, shared: 0 };
        // SAFETY: the views hold what the kernel reads and writes; the indices name rows of the logits, and targets tokens.
        unsafe { self.device.launch(self.find, grid, Parameters::of(&parameters)) }
    }
}
