//! Random weights that are made where they are used (`kernels/synthetic.cu`).

use crate::{DType, Device, Grid, Kernel, Parameters, Result, Source, View};
use std::sync::Arc;

/// Threads of a block, and how many numbers each makes.
const THREADS: usize = 256;
const EACH: usize = 8;

/// One row of a matrix, as the kernel reads it: number i of it is a function of `key + start + i`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyntheticRow {
    /// The seed's and the tensor's.
    pub key: u64,
    /// The index of the row's first number in the tensor.
    pub start: u64,
}

/// The kernel's parameters.
#[repr(C)]
#[derive(Clone, Copy)]
struct Fill {
    rows: u64,
    out: u64,
    columns: u64,
    half_width: f32,
    part: u32,
}

/// The kernels, compiled for a device and a format.
pub struct Synthetic {
    device: Arc<dyn Device>,
    dtype: DType,
    fill: Kernel,
}

impl Synthetic {
    /// Compiles them.
    pub fn new(device: &Arc<dyn Device>, dtype: DType) -> Result<Self> {
        let source = Source {
            file: "synthetic",
            text: include_str!("../../kernels/synthetic.cu"),
            defines: vec![("REAL", dtype.kernel_type().to_owned())],
        };
        Ok(Self { device: Arc::clone(device), dtype, fill: device.kernel(&source, "fill")? })
    }

    /// Fills `[count, columns]` by `[count]` of [`SyntheticRow`]: bit for bit what `host/engine/src/load/synthetic.rs`'s `fill`
    /// gives with this half width, rounded to the format. One launch.
    ///
    /// # Errors
    /// [`crate::Error::Bug`] if a view is too small.
    pub fn fill(
        &self,
        rows: View<'_>,
        count: usize,
        columns: usize,
        half_width: f32,
        out: View<'_>,
    ) -> Result<()> {
        if count == 0 || columns == 0 {
            return Ok(());
        }
        // Blocks in y are at most 65535.
        let part = (THREADS * EACH).max(columns.div_ceil(65535));
        let parameters = Fill {
            rows: rows.holds("rows of random weights", count * size_of::<SyntheticRow>())?,
            out: out.holds("random weights", count * columns * self.dtype.size())?,
            columns: columns as u64,
            half_width,
            part: part as u32,
        };
        let blocks = [count as u32, columns.div_ceil(part) as u32, 1];
        let grid = Grid { blocks, threads: THREADS as u32, shared: 0 };
        // SAFETY: the views hold what the kernel reads and writes.
        unsafe { self.device.launch(self.fill, grid, Parameters::of(&parameters)) }
    }
}
