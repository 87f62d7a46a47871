//! Lookup of token and position embeddings (`kernels/embedding.cu`).

use super::launch::{VectorKernel, checked_product, row_grid, to_u32};
use crate::{ComputeDevice, DType, Kernel, KernelParameters, KernelSource, Result, View};
use std::sync::Arc;

/// A lookup: `out[row] = scale · table[ids[row]]`, added to `out[row]` with `accumulate`. Ids of rows that another rank
/// has give zeros.
///
/// # Shapes
/// - `ids`: u32 `[rows]`
/// - `table`: `[kept, width]`
/// - `changes`: u64 `[adapters]`
/// - `adapters`: u32 `[rows]`
/// - `out`: `[rows, width]`, written
#[derive(Clone, Copy)]
pub struct Lookup<'a> {
    /// Number of rows to look up.
    pub rows: usize,
    /// Numbers in each row.
    pub width: usize,
    /// Id of each row in the whole table.
    pub ids: View<'a>,
    /// Rows `first..first + kept` of the whole table, which this rank has.
    pub table: View<'a>,
    /// Index of this rank's first row in the whole table.
    pub first: usize,
    /// Number of rows that this rank has.
    pub kept: usize,
    /// For each adapter the address of a table to use instead, a multiple of 16, or 0 for the base table. Only read
    /// together with `adapters`.
    pub changes: Option<View<'a>>,
    /// Adapter index of each row, or [`NONE`](super::NONE).
    pub adapters: Option<View<'a>>,
    /// Factor of what is looked up.
    pub scale: f32,
    /// Whether the rows are added to `out` instead of replacing it.
    pub accumulate: bool,
    /// Receives the result.
    pub out: View<'a>,
}

/// A low-rank change of a table by an adapter, as kernels read it: a row becomes `gain · (row + B A[:, id])`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct LowRankTable {
    /// Address of A transposed, f32 `[vocabulary, rank]`. 0 means no low-rank change.
    pub down: u64,
    /// Address of B, which includes the adapter's scale, f32 `[width, rank]`.
    pub up: u64,
    /// Address of the gain, f32 `[width]`. 0 means no gain.
    pub gain: u64,
    /// Rank of the change.
    pub rank: u32,
    /// Padding, 0.
    pub unused: u32,
}

/// The embedding kernels, compiled for one device and number format.
pub struct EmbeddingKernels {
    device: Arc<dyn ComputeDevice>,
    dtype: DType,
    lookup: VectorKernel,
    low_rank: Kernel,
}

/// Mirrors `struct Lookup` of `kernels/embedding.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct LookupParameters {
    ids: u64,
    table: u64,
    changes: u64,
    adapters: u64,
    out: u64,
    width: u32,
    first: u32,
    kept: u32,
    accumulate: u32,
    scale: f32,
    unused: u32,
}

/// Mirrors `struct LowRank` of `kernels/embedding.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct LowRankParameters {
    ids: u64,
    adapters: u64,
    tables: u64,
    x: u64,
    width: u32,
    scale: f32,
}

impl EmbeddingKernels {
    /// Compiles the kernels for numbers of format `dtype`, or takes them from the cache.
    pub fn new(device: &Arc<dyn ComputeDevice>, dtype: DType) -> Result<Self> {
        let source = KernelSource {
            file: "embedding",
            text: include_str!("../../kernels/embedding.cu"),
            defines: vec![("REAL", dtype.kernel_type().to_owned())],
        };
        let names = ["lookup", "lookup_vector"];
        let lookup = VectorKernel::new(device, &source, names, 16 / dtype.size())?;
        let low_rank = device.kernel(&source, "low_rank")?;
        Ok(Self { device: Arc::clone(device), dtype, lookup, low_rank })
    }

    /// Queues a lookup, one launch. Shapes are those of [`Lookup`].
    ///
    /// # Errors
    /// [`Error::Bug`](crate::Error::Bug) if a view is too small.
    pub fn lookup(&self, op: &Lookup<'_>) -> Result<()> {
        let (rows, width) = (op.rows, op.width);
        if rows == 0 || width == 0 {
            return Ok(());
        }
        let (indices, number) = (checked_product(&[rows, 4])?, self.dtype.size());
        let (changes, adapters) = match (op.changes, op.adapters) {
            (Some(changes), Some(rows)) => {
                (changes.address, rows.checked_address("rows' adapters", indices)?)
            }
            _ => (0, 0),
        };
        let parameters = LookupParameters {
            ids: op.ids.checked_address("ids", indices)?,
            table: op
                .table
                .checked_address("an embedding", checked_product(&[op.kept, width, number])?)?,
            changes,
            adapters,
            out: op
                .out
                .checked_address("what is looked up", checked_product(&[rows, width, number])?)?,
            width: to_u32(width)?,
            first: to_u32(op.first)?,
            kept: to_u32(op.kept)?,
            accumulate: op.accumulate.into(),
            scale: op.scale,
            unused: 0,
        };
        let (kernel, numbers) = self.lookup.select(&[width], &[parameters.table, parameters.out]);
        let grid = row_grid(rows, width / numbers)?;
        // SAFETY: the struct has the kernel's layout, which reads no row beyond `kept` and writes `rows` rows.
        unsafe { self.device.launch(kernel, grid, KernelParameters::new(&parameters)) }
    }

    /// Applies each row's low-rank change in place and multiplies every row by `scale`. One launch.
    ///
    /// # Shapes
    /// - `ids`: u32 `[rows]`
    /// - `adapters`: u32 `[rows]`, adapter index of each row or [`NONE`](super::NONE)
    /// - `tables`: `[adapters]` of [`LowRankTable`]
    /// - `x`: `[rows, width]`, read and written
    ///
    /// # Errors
    /// [`Error::Bug`](crate::Error::Bug) if a view is too small.
    #[allow(clippy::too_many_arguments, reason = "a kernel's own list")]
    pub fn low_rank(
        &self,
        rows: usize,
        width: usize,
        ids: View<'_>,
        adapters: View<'_>,
        tables: View<'_>,
        scale: f32,
        x: View<'_>,
    ) -> Result<()> {
        if rows == 0 || width == 0 {
            return Ok(());
        }
        let indices = checked_product(&[rows, 4])?;
        let parameters = LowRankParameters {
            ids: ids.checked_address("ids", indices)?,
            adapters: adapters.checked_address("rows' adapters", indices)?,
            tables: tables.address,
            x: x.checked_address(
                "rows of an embedding",
                checked_product(&[rows, width, self.dtype.size()])?,
            )?,
            width: to_u32(width)?,
            scale,
        };
        let grid = row_grid(rows, width)?;
        // SAFETY: the struct has the kernel's layout, and the views hold `rows` rows. The caller answers for the tables.
        unsafe { self.device.launch(self.low_rank, grid, KernelParameters::new(&parameters)) }
    }
}
