//! Low-rank adapters, where each row may have an adapter of its own (`kernels/lora.cu`). The kernels are shrink (`A x`)
//! and expand (`B h`), after Punica (arXiv 2310.18547).

use super::launch::{VectorKernel, checked_product, to_u32};
use crate::{
    ComputeDevice, DType, Error, Kernel, KernelParameters, KernelSource, LaunchGrid, Result, View,
};
use std::sync::Arc;

/// Most modules that one product joins, each with low-rank factors of its own (Q, K and V; gate and up).
pub const PARTS: usize = 4;

/// The change of one product by one adapter, as kernels read it: `y = gain · (y + B A x) + rest`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct LoraEntry {
    /// Address of A, a multiple of 16: `[ranks, inputs]` in the model's format, all modules' A below one another. 0
    /// means no low-rank factors.
    pub down: u64,
    /// Address of the gain, f32 `[outputs]`: DoRA's magnitudes divided by norms. 0 means no gain.
    pub gain: u64,
    /// Address of f32 `[outputs]`, which is added last. 0 means nothing is added.
    pub rest: u64,
    /// Number of rows of A that this rank has.
    pub ranks: u32,
    /// Column of the scratch matrix `h` at which this rank's results begin. `h` has columns for the rows of all ranks.
    pub first: u32,
    /// The factor B of each module of the product.
    pub parts: [LoraPart; PARTS],
}

/// The factor B of one module.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct LoraPart {
    /// Address of B, which includes the adapter's scale: `[end - start, inner]` in the model's format. 0 means no
    /// factor.
    pub up: u64,
    /// First output of the module.
    pub start: u32,
    /// One past the last output of the module.
    pub end: u32,
    /// First column of `h` that the module's B multiplies.
    pub from: u32,
    /// Number of columns of `h` that the module's B multiplies.
    pub inner: u32,
}

/// The rows of a product and their adapters.
#[derive(Clone, Copy)]
pub struct LoraRows<'a> {
    /// Number of rows of `y`.
    pub rows: usize,
    /// Rows of `y` for each input row: 1, or the number of experts that a token goes to.
    pub per_input: usize,
    /// u32 `[rows / per_input]`: adapter index of each input row, or [`NONE`](super::NONE).
    pub adapters: View<'a>,
    /// Number of adapters: the length of a row of `table`.
    pub adapter_count: usize,
    /// u32 `[rows]`: expert of each row, counted from this rank's first expert, or [`NONE`](super::NONE). `None` if the
    /// product has no experts.
    pub experts: Option<View<'a>>,
    /// `[experts, adapter_count]` of [`LoraEntry`]. One row if the product has no experts.
    pub table: View<'a>,
}

/// The kernels of low-rank adapters, compiled for one device and number format.
pub struct LoraKernels {
    device: Arc<dyn ComputeDevice>,
    dtype: DType,
    shrink: VectorKernel,
    expand: Kernel,
}

/// Rows that a block computes.
const BLOCK_ROWS: usize = 8;

/// Warps of a block of the kernel `shrink`.
const WARPS: usize = 8;

/// Threads of a block of the kernel `expand`: one for each output.
const THREADS: usize = 128;

/// Mirrors `struct Rows` of `kernels/lora.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct RowsParameters {
    adapters: u64,
    experts: u64,
    table: u64,
    rows: u32,
    per_input: u32,
    adapter_count: u64,
}

/// Mirrors `struct Shrink` of `kernels/lora.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct ShrinkParameters {
    rows: RowsParameters,
    x: u64,
    h: u64,
    inputs: u32,
    stride: u32,
    warps_per_rank: u32,
    shared_input: u32,
}

/// Mirrors `struct Expand` of `kernels/lora.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct ExpandParameters {
    rows: RowsParameters,
    h: u64,
    y: u64,
    outputs: u32,
    stride: u32,
}

impl RowsParameters {
    fn new(rows: &LoraRows<'_>) -> Result<Self> {
        let LoraRows { rows, per_input, adapters, adapter_count, experts, table } = *rows;
        if per_input == 0 || !rows.is_multiple_of(per_input) {
            return Err(Error::Bug(format!("{rows} rows are {per_input} for each input")));
        }
        let bytes = checked_product(&[rows, 4])?;
        Ok(Self {
            adapters: adapters.checked_address("rows' adapters", bytes / per_input)?,
            experts: experts
                .map_or(Ok(0), |experts| experts.checked_address("rows' experts", bytes))?,
            table: table.checked_address(
                "adapters' entries",
                checked_product(&[adapter_count, size_of::<LoraEntry>()])?,
            )?,
            rows: to_u32(rows)?,
            per_input: to_u32(per_input)?,
            adapter_count: to_u32(adapter_count)?.into(),
        })
    }
}

impl LoraKernels {
    /// Compiles the kernels for numbers of format `dtype`, or takes them from the cache.
    pub fn new(device: &Arc<dyn ComputeDevice>, dtype: DType) -> Result<Self> {
        let source = KernelSource {
            file: "lora",
            text: include_str!("../../kernels/lora.cu"),
            defines: vec![("REAL", dtype.kernel_type().to_owned())],
        };
        let names = ["shrink", "shrink_vector"];
        let shrink = VectorKernel::new(device, &source, names, 16 / dtype.size())?;
        let expand = device.kernel(&source, "expand")?;
        Ok(Self { device: Arc::clone(device), dtype, shrink, expand })
    }

    /// Queues `h[row, first..first + ranks] = A x`, one launch. If several ranks share an adapter, the caller clears
    /// `h` before and sums it over the ranks afterwards.
    ///
    /// # Shapes
    /// - `rows`: see [`LoraRows`]
    /// - `x`: `[rows / per_input, inputs]` with `shared_input`, otherwise `[rows, inputs]`
    /// - `h`: f32 `[rows, stride]`, written
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small.
    pub fn shrink(
        &self,
        rows: &LoraRows<'_>,
        inputs: usize,
        shared_input: bool,
        x: View<'_>,
        h: View<'_>,
        stride: usize,
    ) -> Result<()> {
        if rows.rows == 0 || inputs == 0 || stride == 0 {
            return Ok(());
        }
        let kernel_rows = RowsParameters::new(rows)?;
        let x_rows = if shared_input { rows.rows / rows.per_input } else { rows.rows };
        let row_blocks = rows.rows.div_ceil(BLOCK_ROWS);
        // One warp for each row of A keeps a GPU busy only if there are many rows.
        let is_small = row_blocks * stride.div_ceil(WARPS) < 4 * self.device.multiprocessors();
        let warps_per_rank = if is_small { WARPS } else { 1 };
        let parameters = ShrinkParameters {
            rows: kernel_rows,
            x: x.checked_address(
                "an adapter's input",
                checked_product(&[x_rows, inputs, self.dtype.size()])?,
            )?,
            h: h.checked_address("what A gives", checked_product(&[rows.rows, stride, 4])?)?,
            inputs: to_u32(inputs)?,
            stride: to_u32(stride)?,
            warps_per_rank: to_u32(warps_per_rank)?,
            shared_input: shared_input.into(),
        };
        let (kernel, _) = self.shrink.select(&[inputs], &[parameters.x]);
        let rank_blocks = stride.div_ceil(WARPS / warps_per_rank);
        let blocks = [to_u32(row_blocks)?, to_u32(rank_blocks)?, 1];
        let grid = LaunchGrid { blocks, threads: 32 * WARPS as u32, shared: 0 };
        // SAFETY: the struct has the kernel's layout, and the views hold its rows. The caller answers for the entries.
        unsafe { self.device.launch(kernel, grid, KernelParameters::new(&parameters)) }
    }

    /// Queues `y = gain · (y + B h) + rest`, one launch.
    ///
    /// # Shapes
    /// - `rows`: see [`LoraRows`]
    /// - `h`: f32 `[rows, stride]`
    /// - `y`: `[rows, outputs]`, read and written
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small.
    pub fn expand(
        &self,
        rows: &LoraRows<'_>,
        outputs: usize,
        h: View<'_>,
        stride: usize,
        y: View<'_>,
    ) -> Result<()> {
        if rows.rows == 0 || outputs == 0 {
            return Ok(());
        }
        let parameters = ExpandParameters {
            rows: RowsParameters::new(rows)?,
            h: h.checked_address("what A gives", checked_product(&[rows.rows, stride, 4])?)?,
            y: y.checked_address(
                "a product",
                checked_product(&[rows.rows, outputs, self.dtype.size()])?,
            )?,
            outputs: to_u32(outputs)?,
            stride: to_u32(stride)?,
        };
        let threads = outputs.next_multiple_of(32).min(THREADS);
        let blocks =
            [to_u32(rows.rows.div_ceil(BLOCK_ROWS))?, to_u32(outputs.div_ceil(threads))?, 1];
        let grid = LaunchGrid { blocks, threads: threads as u32, shared: 0 };
        // SAFETY: the struct has the kernel's layout, and the views hold its rows. The caller answers for the entries.
        unsafe { self.device.launch(self.expand, grid, KernelParameters::new(&parameters)) }
    }
}
