//! What all launchers share: checked sizes, grids over rows, and kernels that move several numbers at a time.

use crate::{ComputeDevice, Error, Kernel, KernelSource, LaunchGrid, Result};
use std::sync::Arc;

/// Most threads of a block over the columns of a row: enough for a multiprocessor to hold several blocks.
const THREADS: usize = 256;

/// A kernel in two forms: one moves a single number at a time, the other a vector of numbers.
pub(super) struct VectorKernel {
    single: Kernel,
    vector: Kernel,
    numbers: usize,
}

impl VectorKernel {
    /// Loads both forms, named `names`, from a source. The second one moves `numbers` numbers at a time, together at
    /// most 16 bytes.
    pub(super) fn new(
        device: &Arc<dyn ComputeDevice>,
        source: &KernelSource,
        names: [&str; 2],
        numbers: usize,
    ) -> Result<Self> {
        let [single, vector] = names;
        let (single, vector) = (device.kernel(source, single)?, device.kernel(source, vector)?);
        Ok(Self { single, vector, numbers })
    }

    /// Returns a form of the kernel, and how many numbers it moves at a time.
    ///
    /// The vector form is chosen if it divides every one of `widths` (row widths and column offsets, in numbers) and if
    /// every address is a multiple of 16.
    pub(super) fn select(&self, widths: &[usize], addresses: &[u64]) -> (Kernel, usize) {
        let fits = widths.iter().all(|width| width.is_multiple_of(self.numbers))
            && addresses.iter().all(|address| address.is_multiple_of(16));
        if fits { (self.vector, self.numbers) } else { (self.single, 1) }
    }
}

/// Multiplies sizes with a check for overflow.
///
/// # Errors
/// [`Error::Bug`] if the result does not fit a `usize`.
pub(super) fn checked_product(sizes: &[usize]) -> Result<usize> {
    sizes
        .iter()
        .try_fold(1usize, |all, &size| all.checked_mul(size))
        .ok_or_else(|| Error::Bug(format!("a kernel is given the sizes {sizes:?}")))
}

/// Converts a size to the 32 bits in which kernels take it.
///
/// # Errors
/// [`Error::Bug`] if the size does not fit.
pub(super) fn to_u32(number: usize) -> Result<u32> {
    u32::try_from(number).map_err(|_| {
        Error::Bug(format!("a kernel is given the size {number}, more than it counts"))
    })
}

/// Returns a grid with one thread for each column of each row: blocks in x are rows, blocks in y are columns.
pub(super) fn row_grid(rows: usize, columns: usize) -> Result<LaunchGrid> {
    let threads = columns.next_multiple_of(32).min(THREADS);
    let blocks = [to_u32(rows)?, to_u32(columns.div_ceil(threads))?, 1];
    Ok(LaunchGrid { blocks, threads: threads as u32, shared: 0 })
}
