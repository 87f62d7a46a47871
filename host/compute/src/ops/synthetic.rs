//! Random weights that are generated on the device (`kernels/synthetic.cu`).

use crate::{
    ComputeDevice, DType, Kernel, KernelParameters, KernelSource, LaunchGrid, Result, View,
};
use std::sync::Arc;

/// Threads of a block, and the numbers that each thread generates.
const THREADS: usize = 256;
const EACH: usize = 8;

/// One row of a random matrix, as the kernel reads it. Number i of the row is a function of `key + start + i`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyntheticRow {
    /// A number made from the seed and the tensor.
    pub key: u64,
    /// Index of the row's first number in the tensor.
    pub start: u64,
}

/// Mirrors `struct Fill` of `kernels/synthetic.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct FillParameters {
    rows: u64,
    out: u64,
    columns: u64,
    half_width: f32,
    part: u32,
}

/// The kernel that generates random weights, compiled for one device and number format.
pub struct SyntheticKernel {
    device: Arc<dyn ComputeDevice>,
    dtype: DType,
    fill: Kernel,
}

impl SyntheticKernel {
    /// Compiles the kernel for numbers of format `dtype`, or takes it from the cache.
    pub fn new(device: &Arc<dyn ComputeDevice>, dtype: DType) -> Result<Self> {
        let source = KernelSource {
            file: "synthetic",
            text: include_str!("../../kernels/synthetic.cu"),
            defines: vec![("REAL", dtype.kernel_type().to_owned())],
        };
        Ok(Self { device: Arc::clone(device), dtype, fill: device.kernel(&source, "fill")? })
    }

    /// Queues the generation of a random matrix, one launch. The numbers are bit for bit those of `fill` in
    /// `host/engine/src/load/synthetic_weights.rs` with the same half width, rounded to the format.
    ///
    /// # Shapes
    /// - `rows`: `[count]` of [`SyntheticRow`]
    /// - `out`: `[count, columns]`, written
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
        // A grid has at most 65535 blocks in y.
        let part = (THREADS * EACH).max(columns.div_ceil(65535));
        let parameters = FillParameters {
            rows: rows
                .checked_address("rows of random weights", count * size_of::<SyntheticRow>())?,
            out: out.checked_address("random weights", count * columns * self.dtype.size())?,
            columns: columns as u64,
            half_width,
            part: part as u32,
        };
        let blocks = [count as u32, columns.div_ceil(part) as u32, 1];
        let grid = LaunchGrid { blocks, threads: THREADS as u32, shared: 0 };
        // SAFETY: the views hold what the kernel reads and writes.
        unsafe { self.device.launch(self.fill, grid, KernelParameters::new(&parameters)) }
    }
}
