//! Moving rows and changing their numbers (`kernels/rows.cu`).

use super::launch::{VectorKernel, checked_product, row_grid, to_u32};
use crate::{
    ComputeDevice, DType, Error, Kernel, KernelParameters, KernelSource, LaunchGrid, Result, View,
};
use std::sync::Arc;

/// The row kernels, compiled for one device and number format.
pub struct RowKernels {
    device: Arc<dyn ComputeDevice>,
    dtype: DType,
    replace: VectorKernel,
    gather: VectorKernel,
    columns_to_rows: Kernel,
    softcap: Kernel,
    widen: Kernel,
}

/// Mirrors `struct Replace` of `kernels/rows.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct ReplaceParameters {
    entries: u64,
    part: u64,
    y: u64,
    width: u32,
    entry: u32,
    n: u32,
    start: u32,
}

/// Mirrors `struct ColumnsToRows` of `kernels/rows.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct ColumnsToRowsParameters {
    parts: u64,
    from: u64,
    to: u64,
    rows: u32,
    ranks: u32,
    widest: u64,
}

/// Mirrors `struct Softcap` of `kernels/rows.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct SoftcapParameters {
    x: u64,
    count: u64,
    cap: f32,
    unused: u32,
}

/// Mirrors `struct Widen` of `kernels/rows.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct WidenParameters {
    from: u64,
    to: u64,
    count: u64,
}

/// Mirrors `struct Gather` of `kernels/rows.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct GatherParameters {
    index: u64,
    from: u64,
    to: u64,
    width: u64,
}

/// Threads of a block of the kernels `softcap` and `widen`.
const THREADS: u32 = 256;

impl RowKernels {
    /// Compiles the kernels for numbers of format `dtype`, or takes them from the cache.
    pub fn new(device: &Arc<dyn ComputeDevice>, dtype: DType) -> Result<Self> {
        let source = KernelSource {
            file: "rows",
            text: include_str!("../../kernels/rows.cu"),
            defines: vec![("REAL", dtype.kernel_type().to_owned())],
        };
        let vector = |names| VectorKernel::new(device, &source, names, 16 / dtype.size());
        Ok(Self {
            device: Arc::clone(device),
            dtype,
            replace: vector(["replace", "replace_vector"])?,
            gather: vector(["gather", "gather_vector"])?,
            columns_to_rows: device.kernel(&source, "columns_to_rows")?,
            softcap: device.kernel(&source, "softcap")?,
            widen: device.kernel(&source, "widen")?,
        })
    }

    /// Queues `y[row, start..start + n] = part[row]` for the rows whose entry equals `entry`. One launch.
    ///
    /// # Shapes
    /// - `entries`: u32 `[rows]`
    /// - `part`: `[rows, n]`
    /// - `y`: `[rows, width]`, written in part
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small, or if the columns do not fit a row.
    #[allow(clippy::too_many_arguments, reason = "a kernel's own list")]
    pub fn replace(
        &self,
        rows: usize,
        width: usize,
        entries: View<'_>,
        entry: u32,
        part: View<'_>,
        n: usize,
        y: View<'_>,
        start: usize,
    ) -> Result<()> {
        if rows == 0 || n == 0 {
            return Ok(());
        }
        if start.checked_add(n).is_none_or(|end| end > width) {
            return Err(Error::Bug(format!("columns {start} to {start} + {n} of {width} are put")));
        }
        let number = self.dtype.size();
        let parameters = ReplaceParameters {
            entries: entries.checked_address("rows' entries", checked_product(&[rows, 4])?)?,
            part: part.checked_address(
                "what rows are replaced by",
                checked_product(&[rows, n, number])?,
            )?,
            y: y.checked_address(
                "rows that are replaced",
                checked_product(&[rows, width, number])?,
            )?,
            width: to_u32(width)?,
            entry,
            n: to_u32(n)?,
            start: to_u32(start)?,
        };
        let addresses = [parameters.part, parameters.y];
        let (kernel, numbers) = self.replace.select(&[width, n, start], &addresses);
        let grid = row_grid(rows, n / numbers)?;
        // SAFETY: the struct has the kernel's layout, the views hold `rows` rows, and the columns are within one.
        unsafe { self.device.launch(kernel, grid, KernelParameters::new(&parameters)) }
    }

    /// Queues the reordering of gathered columns into rows, one launch. Each of `ranks` ranks has computed some columns
    /// of all rows, and an all-gather has put the ranks' results one after another.
    ///
    /// Rank r has the columns `total * r / ranks..total * (r + 1) / ranks`. Its rows lie without gaps at the beginning
    /// of its `rows * widest` numbers.
    ///
    /// # Shapes
    /// - `parts`: u32 `[ranks + 1]`, first column of each rank, and `total`
    /// - `from`: f32 `[ranks, rows * widest]`
    /// - `to`: f32 `[rows, total]`, written
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small.
    pub fn columns_to_rows(
        &self,
        rows: usize,
        ranks: usize,
        widest: usize,
        parts: View<'_>,
        from: View<'_>,
        to: View<'_>,
    ) -> Result<()> {
        if rows == 0 || ranks == 0 || widest == 0 {
            return Ok(());
        }
        // Only the device knows the total. No rank has more than one column fewer than the widest.
        let least = ranks * (widest - 1) + 1;
        let parameters = ColumnsToRowsParameters {
            parts: parts.checked_address("ranks' parts", checked_product(&[ranks + 1, 4])?)?,
            from: from
                .checked_address("ranks' columns", checked_product(&[ranks, rows, widest, 4])?)?,
            to: to
                .checked_address("rows of ranks' columns", checked_product(&[rows, least, 4])?)?,
            rows: to_u32(rows)?,
            ranks: to_u32(ranks)?,
            widest: to_u32(widest)?.into(),
        };
        let mut grid = row_grid(rows, widest)?;
        grid.blocks[2] = parameters.ranks;
        // SAFETY: the struct has the kernel's layout, and the views hold what it reads. The caller answers for the parts.
        unsafe {
            self.device.launch(self.columns_to_rows, grid, KernelParameters::new(&parameters))
        }
    }

    /// Queues `x = cap · tanh(x / cap)`, one launch.
    ///
    /// # Shapes
    /// - `x`: f32 `[count]`, read and written
    ///
    /// # Errors
    /// [`Error::Bug`] if the view is too small.
    pub fn softcap(&self, count: usize, cap: f32, x: View<'_>) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let x = x.checked_address("what is capped", checked_product(&[count, 4])?)?;
        let parameters = SoftcapParameters { x, count: count as u64, cap, unused: 0 };
        let blocks = [to_u32(count.div_ceil(THREADS as usize))?, 1, 1];
        let grid = LaunchGrid { blocks, threads: THREADS, shared: 0 };
        // SAFETY: the struct has the kernel's layout, and the view holds `count` numbers.
        unsafe { self.device.launch(self.softcap, grid, KernelParameters::new(&parameters)) }
    }

    /// Queues `to[i] = from[index[i]]` for whole rows, one launch.
    ///
    /// # Shapes
    /// - `index`: u32 `[rows]`
    /// - `from`: `[.., width]`
    /// - `to`: `[rows, width]`, written
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small.
    pub fn gather(
        &self,
        rows: usize,
        width: usize,
        index: View<'_>,
        from: View<'_>,
        to: View<'_>,
    ) -> Result<()> {
        if rows == 0 || width == 0 {
            return Ok(());
        }
        let bytes = checked_product(&[width, self.dtype.size()])?;
        let parameters = GatherParameters {
            index: index.checked_address("an index of rows", checked_product(&[rows, 4])?)?,
            from: from.checked_address("rows to gather", bytes)?,
            to: to.checked_address("gathered rows", checked_product(&[rows, bytes])?)?,
            width: to_u32(width)?.into(),
        };
        let (kernel, numbers) = self.gather.select(&[width], &[parameters.from, parameters.to]);
        let grid = row_grid(rows, width / numbers)?;
        // SAFETY: the struct has the kernel's layout, and the views hold what it writes. The caller answers for the index.
        unsafe { self.device.launch(kernel, grid, KernelParameters::new(&parameters)) }
    }

    /// Queues the widening of numbers from the model's format to f32, one launch.
    ///
    /// # Shapes
    /// - `from`: `[count]`
    /// - `to`: f32 `[count]`, written
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small.
    pub fn widen(&self, count: usize, from: View<'_>, to: View<'_>) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let parameters = WidenParameters {
            from: from.checked_address(
                "numbers to widen",
                checked_product(&[count, self.dtype.size()])?,
            )?,
            to: to.checked_address("widened numbers", checked_product(&[count, 4])?)?,
            count: count as u64,
        };
        let blocks = [to_u32(count.div_ceil(THREADS as usize))?, 1, 1];
        let grid = LaunchGrid { blocks, threads: THREADS, shared: 0 };
        // SAFETY: the struct has the kernel's layout, and the views hold `count` numbers.
        unsafe { self.device.launch(self.widen, grid, KernelParameters::new(&parameters)) }
    }
}
