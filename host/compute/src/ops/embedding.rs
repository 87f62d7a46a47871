//! Lookup of tokens and positions (`kernels/embedding.cu`).

use super::launch::{VectorKernel, over_rows, product, size};
use crate::{DType, Device, Kernel, Parameters, Result, Source, View};
use std::sync::Arc;

/// `out[row] = (accumulate ? out[row] : 0) + scale · table[ids[row]]`, zeros for ids that this rank does not have.
#[derive(Clone, Copy)]
pub struct Lookup<'a> {
    /// Rows.
    pub rows: usize,
    /// Numbers of a row.
    pub width: usize,
    /// u32 `[rows]`.
    pub ids: View<'a>,
    /// `[kept, width]`: rows `first..first + kept` of the whole table.
    pub table: View<'a>,
    /// The first row that this rank has.
    pub first: usize,
    /// How many rows it has.
    pub kept: usize,
    /// u64 addresses, multiples of 16, by adapter index of tables in place of that one, 0 leaves it; with `adapters`.
    pub changes: Option<View<'a>>,
    /// u32 `[rows]`: each row's adapter index or `NONE`.
    pub adapters: Option<View<'a>>,
    /// What is looked up is multiplied by this.
    pub scale: f32,
    /// Whether it is added to what is there.
    pub accumulate: bool,
    /// `[rows, width]`.
    pub out: View<'a>,
}

/// What an adapter makes of a table's rows: `gain · (row + B A[:, id])`. As kernels read it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct LowRankTable {
    /// Address of A transposed, f32 `[vocabulary, rank]`; 0 for none.
    pub down: u64,
    /// Address of B, scaled, f32 `[width, rank]`.
    pub up: u64,
    /// Address of f32 `[width]`, or 0.
    pub gain: u64,
    /// The rank.
    pub rank: u32,
    /// Padding, 0.
    pub unused: u32,
}

/// The kernels, compiled for a device and a format.
pub struct Embeddings {
    device: Arc<dyn Device>,
    dtype: DType,
    lookup: VectorKernel,
    low_rank: Kernel,
}

/// `struct Lookup` of the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelLookup {
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

/// `struct LowRank` of the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelLowRank {
    ids: u64,
    adapters: u64,
    tables: u64,
    x: u64,
    width: u32,
    scale: f32,
}

impl Embeddings {
    /// Compiles them.
    pub fn new(device: &Arc<dyn Device>, dtype: DType) -> Result<Self> {
        let source = Source {
            file: "embedding",
            text: include_str!("../../kernels/embedding.cu"),
            defines: vec![("REAL", dtype.kernel_type().to_owned())],
        };
        let names = ["lookup", "lookup_vector"];
        let lookup = VectorKernel::new(device, &source, names, 16 / dtype.size())?;
        let low_rank = device.kernel(&source, "low_rank")?;
        Ok(Self { device: Arc::clone(device), dtype, lookup, low_rank })
    }

    /// Queues a lookup; one launch.
    pub fn lookup(&self, op: &Lookup<'_>) -> Result<()> {
        let (rows, width) = (op.rows, op.width);
        if rows == 0 || width == 0 {
            return Ok(());
        }
        let (indices, number) = (product(&[rows, 4])?, self.dtype.size());
        let (changes, adapters) = match (op.changes, op.adapters) {
            (Some(changes), Some(rows)) => {
                (changes.address, rows.holds("rows' adapters", indices)?)
            }
            _ => (0, 0),
        };
        let parameters = KernelLookup {
            ids: op.ids.holds("ids", indices)?,
            table: op.table.holds("an embedding", product(&[op.kept, width, number])?)?,
            changes,
            adapters,
            out: op.out.holds("what is looked up", product(&[rows, width, number])?)?,
            width: size(width)?,
            first: size(op.first)?,
            kept: size(op.kept)?,
            accumulate: op.accumulate.into(),
            scale: op.scale,
            unused: 0,
        };
        let (kernel, numbers) = self.lookup.of(&[width], &[parameters.table, parameters.out]);
        let grid = over_rows(rows, width / numbers)?;
        // SAFETY: the struct is the kernel's, which reads no row beyond `kept` and writes `rows` rows.
        unsafe { self.device.launch(kernel, grid, Parameters::of(&parameters)) }
    }

    /// `x[row] = scale · changed(x[row])` for every row, those without an adapter unchanged but for the scale. `tables` is a
    /// table of [`LowRankTable`] by adapter index. One launch.
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
        let indices = product(&[rows, 4])?;
        let parameters = KernelLowRank {
            ids: ids.holds("ids", indices)?,
            adapters: adapters.holds("rows' adapters", indices)?,
            tables: tables.address,
            x: x.holds("rows of an embedding", product(&[rows, width, self.dtype.size()])?)?,
            width: size(width)?,
            scale,
        };
        let grid = over_rows(rows, width)?;
        // SAFETY: the struct is the kernel's, and the views hold `rows` rows; the tables are the caller's.
        unsafe { self.device.launch(self.low_rank, grid, Parameters::of(&parameters)) }
    }
}
