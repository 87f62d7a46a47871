//! What the operations share: sizes as kernels take them, grids over rows, and kernels that move several numbers at a time.

use crate::{Device, Error, Grid, Kernel, Result, Source};
use std::sync::Arc;

/// The most threads of a block over a row's columns.
const THREADS: usize = 256;

/// A kernel in two forms: one number a thread at a time, and several of them.
pub struct VectorKernel {
    single: Kernel,
    vector: Kernel,
    numbers: usize,
}

impl VectorKernel {
    /// From a source that has both; the second moves `numbers` numbers at a time, of at most 16 bytes.
    pub fn new(
        device: &Arc<dyn Device>,
        source: &Source,
        names: [&str; 2],
        numbers: usize,
    ) -> Result<Self> {
        let [single, vector] = names;
        let (single, vector) = (device.kernel(source, single)?, device.kernel(source, vector)?);
        Ok(Self { single, vector, numbers })
    }

    /// The form for rows whose widths and parts are these and that begin at these addresses, and how many numbers it moves.
    pub fn of(&self, widths: &[usize], addresses: &[u64]) -> (Kernel, usize) {
        let fits = widths.iter().all(|width| width.is_multiple_of(self.numbers))
            && addresses.iter().all(|address| address.is_multiple_of(16));
        if fits { (self.vector, self.numbers) } else { (self.single, 1) }
    }
}

/// The product of sizes.
///
/// # Errors
/// [`Error::Bug`] if it is too large.
pub fn product(sizes: &[usize]) -> Result<usize> {
    sizes
        .iter()
        .try_fold(1usize, |all, &size| all.checked_mul(size))
        .ok_or_else(|| Error::Bug(format!("a kernel is given the sizes {sizes:?}")))
}

/// A size as kernels take it.
///
/// # Errors
/// [`Error::Bug`] if it is too large.
pub fn size(number: usize) -> Result<u32> {
    u32::try_from(number).map_err(|_| {
        Error::Bug(format!("a kernel is given the size {number}, more than it counts"))
    })
}

/// Blocks in x for rows, blocks in y for the columns of a row, a thread for each of them.
pub fn over_rows(rows: usize, columns: usize) -> Result<Grid> {
    let threads = columns.next_multiple_of(32).min(THREADS);
    let blocks = [size(rows)?, size(columns.div_ceil(threads))?, 1];
    Ok(Grid { blocks, threads: threads as u32, shared: 0 })
}
