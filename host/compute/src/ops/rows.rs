//! Moving and changing rows (`kernels/rows.cu`).

use super::launch::{VectorKernel, over_rows, product, size};
use crate::{DType, Device, Error, Grid, Kernel, Parameters, Result, Source, View};
use std::sync::Arc;

/// The kernels, compiled for a device and a format.
pub struct Rows {
    device: Arc<dyn Device>,
    dtype: DType,
    replace: VectorKernel,
    gather: VectorKernel,
    columns_to_rows: Kernel,
    softcap: Kernel,
    widen: Kernel,
}

/// `struct Replace` of the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelReplace {
    entries: u64,
    part: u64,
    y: u64,
    width: u32,
    entry: u32,
    n: u32,
    start: u32,
}

/// `struct ColumnsToRows` of the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelColumnsToRows {
    parts: u64,
    from: u64,
    to: u64,
    rows: u32,
    ranks: u32,
    widest: u64,
}

/// `struct Softcap` of the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelSoftcap {
    x: u64,
    count: u64,
    cap: f32,
    unused: u32,
}

/// `struct Widen` of the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelWiden {
    from: u64,
    to: u64,
    count: u64,
}

/// `struct Gather` of the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelGather {
    index: u64,
    from: u64,
    to: u64,
    width: u64,
}

/// Threads of a block of the softcap.
const THREADS: u32 = 256;

impl Rows {
    /// Compiles them.
    pub fn new(device: &Arc<dyn Device>, dtype: DType) -> Result<Self> {
        let source = Source {
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

    /// `y[row, start..start + n] = part[row]` for the rows whose entry is `entry`; `part` is `[rows, n]`, `y` `[rows,
    /// width]`. One launch.
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
        let parameters = KernelReplace {
            entries: entries.holds("rows' entries", product(&[rows, 4])?)?,
            part: part.holds("what rows are replaced by", product(&[rows, n, number])?)?,
            y: y.holds("rows that are replaced", product(&[rows, width, number])?)?,
            width: size(width)?,
            entry,
            n: size(n)?,
            start: size(start)?,
        };
        let addresses = [parameters.part, parameters.y];
        let (kernel, numbers) = self.replace.of(&[width, n, start], &addresses);
        let grid = over_rows(rows, n / numbers)?;
        // SAFETY: the struct is the kernel's, the views hold `rows` rows, and the columns are within one.
        unsafe { self.device.launch(kernel, grid, Parameters::of(&parameters)) }
    }

    /// From ranks' columns one after another, f32 `[ranks, rows * widest]`, to rows, f32 `[rows, total]`: rank r has the part
    /// `total·r/ranks..total·(r+1)/ranks` (`parts`: u32 `[ranks + 1]`, where each begins, and the end), its rows without gaps
    /// at the beginning of its numbers. One launch.
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
        // The total is the device's to know; no part is narrower than the widest by more than one column.
        let least = ranks * (widest - 1) + 1;
        let parameters = KernelColumnsToRows {
            parts: parts.holds("ranks' parts", product(&[ranks + 1, 4])?)?,
            from: from.holds("ranks' columns", product(&[ranks, rows, widest, 4])?)?,
            to: to.holds("rows of ranks' columns", product(&[rows, least, 4])?)?,
            rows: size(rows)?,
            ranks: size(ranks)?,
            widest: size(widest)?.into(),
        };
        let mut grid = over_rows(rows, widest)?;
        grid.blocks[2] = parameters.ranks;
        // SAFETY: the struct is the kernel's, and the views hold what it reads; the parts are the caller's.
        unsafe { self.device.launch(self.columns_to_rows, grid, Parameters::of(&parameters)) }
    }

    /// `x = cap · tanh(x / cap)` of f32 numbers. One launch.
    pub fn softcap(&self, count: usize, cap: f32, x: View<'_>) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let x = x.holds("what is capped", product(&[count, 4])?)?;
        let parameters = KernelSoftcap { x, count: count as u64, cap, unused: 0 };
        let blocks = [size(count.div_ceil(THREADS as usize))?, 1, 1];
        let grid = Grid { blocks, threads: THREADS, shared: 0 };
        // SAFETY: the struct is the kernel's, and the view holds `count` numbers.
        unsafe { self.device.launch(self.softcap, grid, Parameters::of(&parameters)) }
    }

    /// `to[i] = from[index[i]]` of rows `[width]`. One launch.
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
        let bytes = product(&[width, self.dtype.size()])?;
        let parameters = KernelGather {
            index: index.holds("an index of rows", product(&[rows, 4])?)?,
            from: from.holds("rows to gather", bytes)?,
            to: to.holds("gathered rows", product(&[rows, bytes])?)?,
            width: size(width)?.into(),
        };
        let (kernel, numbers) = self.gather.of(&[width], &[parameters.from, parameters.to]);
        let grid = over_rows(rows, width / numbers)?;
        // SAFETY: the struct is the kernel's, and the views hold what it writes; the index is the caller's.
        unsafe { self.device.launch(kernel, grid, Parameters::of(&parameters)) }
    }

    /// Numbers in the model's format to f32. One launch.
    pub fn widen(&self, count: usize, from: View<'_>, to: View<'_>) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let parameters = KernelWiden {
            from: from.holds("numbers to widen", product(&[count, self.dtype.size()])?)?,
            to: to.holds("widened numbers", product(&[count, 4])?)?,
            count: count as u64,
        };
        let blocks = [size(count.div_ceil(THREADS as usize))?, 1, 1];
        let grid = Grid { blocks, threads: THREADS, shared: 0 };
        // SAFETY: the struct is the kernel's, and the views hold `count` numbers.
        unsafe { self.device.launch(self.widen, grid, Parameters::of(&parameters)) }
    }
}
