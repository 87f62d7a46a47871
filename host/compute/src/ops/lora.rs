//! Low-rank adapters of rows that have each their own (`kernels/lora.cu`): Punica's shrink and expand (arXiv 2310.18547).

use super::launch::{VectorKernel, product, size};
use crate::{DType, Device, Error, Grid, Kernel, Parameters, Result, Source, View};
use std::sync::Arc;

/// Modules of a product that may have factors of their own (Q, K and V; gate and up).
pub const PARTS: usize = 4;

/// What one adapter changes about one product: `y = gain · (y + B A x) + rest`. As kernels read it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Entry {
    /// Address, a multiple of 16, of all modules' A below one another, `[ranks, inputs]` in the model's format; 0 without factors.
    pub down: u64,
    /// Address of f32 `[outputs]`, DoRA's magnitudes over norms; 0 for none.
    pub gain: u64,
    /// Address of f32 `[outputs]`, what is added in the end; 0 for none.
    pub rest: u64,
    /// Rows of `down` that this rank has.
    pub ranks: u32,
    /// Where in a row of the scratch what they give begins, of as many as all ranks have.
    pub first: u32,
    /// B of each module.
    pub parts: [Part; PARTS],
}

/// B of one module.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Part {
    /// Address of `[end - start, inner]`, scaled, in the model's format; 0 for none.
    pub up: u64,
    /// The outputs that it gives.
    pub start: u32,
    /// One past the last.
    pub end: u32,
    /// The first number of the scratch that it takes.
    pub from: u32,
    /// How many.
    pub inner: u32,
}

/// A product's rows and their adapters.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// Rows of `y`.
    pub rows: usize,
    /// Rows of `y` for each row of `x`: 1, or the experts that a token goes to.
    pub per_input: usize,
    /// u32 `[rows / per_input]`: each input row's adapter index or `NONE`.
    pub adapters: View<'a>,
    /// Adapters that indices count: the table has so many entries for each expert.
    pub adapter_count: usize,
    /// u32 `[rows]`: each row's expert, counted from this rank's first, or `NONE`; none where there are no experts.
    pub experts: Option<View<'a>>,
    /// Table of [`Entry`], `[experts or 1, adapter_count]`.
    pub table: View<'a>,
}

/// The kernels, compiled for a device and a format.
pub struct Lora {
    device: Arc<dyn Device>,
    dtype: DType,
    shrink: VectorKernel,
    expand: Kernel,
}

/// Rows of a block.
const BLOCK_ROWS: usize = 8;

/// Warps of a block that shrinks.
const WARPS: usize = 8;

/// Threads of a block that expands, one for each output.
const THREADS: usize = 128;

/// `struct Rows` of the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelRows {
    adapters: u64,
    experts: u64,
    table: u64,
    rows: u32,
    per_input: u32,
    adapter_count: u64,
}

/// `struct Shrink` of the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelShrink {
    rows: KernelRows,
    x: u64,
    h: u64,
    inputs: u32,
    stride: u32,
    warps_per_rank: u32,
    shared_input: u32,
}

/// `struct Expand` of the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelExpand {
    rows: KernelRows,
    h: u64,
    y: u64,
    outputs: u32,
    stride: u32,
}

impl KernelRows {
    fn new(rows: &Rows<'_>) -> Result<Self> {
        let Rows { rows, per_input, adapters, adapter_count, experts, table } = *rows;
        if per_input == 0 || !rows.is_multiple_of(per_input) {
            return Err(Error::Bug(format!("{rows} rows are {per_input} for each input")));
        }
        let bytes = product(&[rows, 4])?;
        Ok(Self {
            adapters: adapters.holds("rows' adapters", bytes / per_input)?,
            experts: experts.map_or(Ok(0), |experts| experts.holds("rows' experts", bytes))?,
            table: table
                .holds("adapters' entries", product(&[adapter_count, size_of::<Entry>()])?)?,
            rows: size(rows)?,
            per_input: size(per_input)?,
            adapter_count: size(adapter_count)?.into(),
        })
    }
}

impl Lora {
    /// Compiles them.
    pub fn new(device: &Arc<dyn Device>, dtype: DType) -> Result<Self> {
        let source = Source {
            file: "lora",
            text: include_str!("../../kernels/lora.cu"),
            defines: vec![("REAL", dtype.kernel_type().to_owned())],
        };
        let names = ["shrink", "shrink_vector"];
        let shrink = VectorKernel::new(device, &source, names, 16 / dtype.size())?;
        let expand = device.kernel(&source, "expand")?;
        Ok(Self { device: Arc::clone(device), dtype, shrink, expand })
    }

    /// `h[row, first..first + ranks] = A x`, f32 `[rows, stride]`, which is cleared before by whoever sums it over ranks. `x` is
    /// `[x_rows, inputs]`, row / per_input of it if `shared_input`, or else `[rows, inputs]`. One launch.
    pub fn shrink(
        &self,
        rows: &Rows<'_>,
        inputs: usize,
        shared_input: bool,
        x: View<'_>,
        h: View<'_>,
        stride: usize,
    ) -> Result<()> {
        if rows.rows == 0 || inputs == 0 || stride == 0 {
            return Ok(());
        }
        let kernel_rows = KernelRows::new(rows)?;
        let x_rows = if shared_input { rows.rows / rows.per_input } else { rows.rows };
        let row_blocks = rows.rows.div_ceil(BLOCK_ROWS);
        // One warp for each row of A keeps a card busy only if there are rows enough.
        let is_small = row_blocks * stride.div_ceil(WARPS) < 4 * self.device.multiprocessors();
        let warps_per_rank = if is_small { WARPS } else { 1 };
        let parameters = KernelShrink {
            rows: kernel_rows,
            x: x.holds("an adapter's input", product(&[x_rows, inputs, self.dtype.size()])?)?,
            h: h.holds("what A gives", product(&[rows.rows, stride, 4])?)?,
            inputs: size(inputs)?,
            stride: size(stride)?,
            warps_per_rank: size(warps_per_rank)?,
            shared_input: shared_input.into(),
        };
        let (kernel, _) = self.shrink.of(&[inputs], &[parameters.x]);
        let rank_blocks = stride.div_ceil(WARPS / warps_per_rank);
        let blocks = [size(row_blocks)?, size(rank_blocks)?, 1];
        let grid = Grid { blocks, threads: 32 * WARPS as u32, shared: 0 };
        // SAFETY: the struct is the kernel's, and the views hold its rows; the entries and what they point to are the caller's.
        unsafe { self.device.launch(kernel, grid, Parameters::of(&parameters)) }
    }

    /// `y = gain · (y + B h) + rest`, `[rows, outputs]`. One launch.
    pub fn expand(
        &self,
        rows: &Rows<'_>,
        outputs: usize,
        h: View<'_>,
        stride: usize,
        y: View<'_>,
    ) -> Result<()> {
        if rows.rows == 0 || outputs == 0 {
            return Ok(());
        }
        let parameters = KernelExpand {
            rows: KernelRows::new(rows)?,
            h: h.holds("what A gives", product(&[rows.rows, stride, 4])?)?,
            y: y.holds("a product", product(&[rows.rows, outputs, self.dtype.size()])?)?,
            outputs: size(outputs)?,
            stride: size(stride)?,
        };
        let threads = outputs.next_multiple_of(32).min(THREADS);
        let blocks = [size(rows.rows.div_ceil(BLOCK_ROWS))?, size(outputs.div_ceil(threads))?, 1];
        let grid = Grid { blocks, threads: threads as u32, shared: 0 };
        // SAFETY: the struct is the kernel's, and the views hold its rows; the entries and what they point to are the caller's.
        unsafe { self.device.launch(self.expand, grid, Parameters::of(&parameters)) }
    }
}
