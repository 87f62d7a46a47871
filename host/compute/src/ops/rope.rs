//! Rotary embedding: from rows of Q, K and V to rotated queries and the KV cache (`kernels/rope.cu`).

use super::launch::{VectorKernel, checked_product, to_u32};
use crate::{
    ComputeDevice, DType, Error, Kernel, KernelParameters, KernelSource, LaunchGrid, Result, View,
};
use std::sync::Arc;

/// The RMS norm of queries and keys before they are rotated. Gains are in the order queries, keys; the number is added
/// to the mean square.
#[derive(Clone, Copy)]
pub enum QueryKeyNorm<'a> {
    /// Queries and keys are not normalised.
    None,
    /// Each head is normalised by itself. Gains: f32 `[dim]` each.
    EachHead([View<'a>; 2], f32),
    /// All heads of a row are normalised together. Gains: f32 `[heads * dim]` and `[kv_heads * dim]` of this rank's
    /// heads. The last view is needed if several ranks share the heads: the mean squares over all ranks' heads, f32
    /// `[rows, 2]`, from [`AppendKernels::squares`].
    AllHeads([View<'a>; 2], f32, Option<View<'a>>),
}

/// The rotation of a rotary embedding. Dimension i of a head is rotated with dimension i + pairs.
#[derive(Clone, Copy)]
pub struct Rotary<'a> {
    /// f32 `[pairs]`, or `[sequences, pairs]` with `by_sequence`: radians per position.
    pub inverse_frequencies: View<'a>,
    /// Whether each sequence has frequencies of its own.
    pub by_sequence: bool,
    /// Pairs of dimensions that are rotated. The other dimensions stay as they are.
    pub pairs: usize,
    /// Factor of cosines and sines.
    pub factor: f32,
}

/// Normalises and rotates queries and keys, writes the queries, and appends keys and values to the caches. An angle is
/// `position as f32 * frequency`, computed in f32.
///
/// # Shapes
/// - `qkv`: `[rows, (heads + 2 * kv_heads) * dim]`
/// - `queries`: `[rows, heads * dim]`, written
/// - `sequences`: `[sequences]` of [`super::SequenceEntry`], whose caches are written
/// - `row_sequences`: u32 `[rows]`
/// - `positions`: u32 `[rows]`
#[derive(Clone, Copy)]
pub struct KvAppend<'a> {
    /// Number of rows.
    pub rows: usize,
    /// Query heads of this rank.
    pub heads: usize,
    /// Key and value heads of this rank.
    pub kv_heads: usize,
    /// Width of a head, in numbers.
    pub dim: usize,
    /// Index of the layer in the caches.
    pub layer: usize,
    /// Queries, keys and values of each row, one after another.
    pub qkv: View<'a>,
    /// The rotated queries.
    pub queries: View<'a>,
    /// Table of the pass' sequences. Addresses of caches are multiples of 16.
    pub sequences: View<'a>,
    /// Index of each row's sequence in the table.
    pub row_sequences: View<'a>,
    /// Position of each row in its sequence: the sequence's `past` and up.
    pub positions: View<'a>,
    /// The rotation. `None` leaves queries and keys unrotated.
    pub rotary: Option<Rotary<'a>>,
    /// The norm before the rotation.
    pub norm: QueryKeyNorm<'a>,
}

/// The kernels of the rotary embedding, compiled for one device and two number formats.
pub struct AppendKernels {
    device: Arc<dyn ComputeDevice>,
    dtype: DType,
    append: VectorKernel,
    squares: Kernel,
}

/// Warps of each block.
const WARPS: usize = 8;

/// Most pairs of dimensions that are rotated: each of a warp's 32 lanes holds the angles of 4 pairs.
const MOST_PAIRS: usize = 128;

/// Mirrors `struct Append` of `kernels/rope.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct AppendParameters {
    qkv: u64,
    queries: u64,
    sequences: u64,
    row_sequences: u64,
    positions: u64,
    frequencies: u64,
    /// Numbers from one sequence's frequencies to the next. 0 if all sequences share them.
    frequency_stride: u64,
    gains: [u64; 2],
    squares: u64,
    heads: u32,
    kv_heads: u32,
    dim: u32,
    layer: u32,
    pairs: u32,
    norm: u32,
    heads_per_warp: u32,
    eps: f32,
    factor: f32,
    width: u32,
}

/// Mirrors `struct Squares` of `kernels/rope.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct SquaresParameters {
    qkv: u64,
    out: u64,
    factors: [f32; 2],
    numbers: [u32; 2],
    width: u64,
}

/// A norm in the kernel's terms: its kind, the addresses of its gains, the number added to the mean square, and the
/// address of given mean squares.
type NormParameters = (u32, [u64; 2], f32, u64);

impl KvAppend<'_> {
    /// Returns the numbers of a row of Q, K and V.
    fn width(&self) -> Result<usize> {
        checked_product(&[self.heads + 2 * self.kv_heads, self.dim])
    }

    fn kernel_norm(&self) -> Result<NormParameters> {
        let gains = |[queries, keys]: [View<'_>; 2], numbers: [usize; 2]| -> Result<[u64; 2]> {
            Ok([
                queries.checked_address("gains of queries", checked_product(&[numbers[0], 4])?)?,
                keys.checked_address("gains of keys", checked_product(&[numbers[1], 4])?)?,
            ])
        };
        Ok(match self.norm {
            QueryKeyNorm::None => (0, [0; 2], 0.0, 0),
            QueryKeyNorm::EachHead(views, eps) => (1, gains(views, [self.dim; 2])?, eps, 0),
            QueryKeyNorm::AllHeads(views, eps, squares) => {
                let numbers = [self.heads, self.kv_heads].map(|heads| heads * self.dim);
                let bytes = checked_product(&[self.rows, 8])?;
                let squares =
                    squares.map_or(Ok(0), |it| it.checked_address("mean squares", bytes))?;
                (2, gains(views, numbers)?, eps, squares)
            }
        })
    }
}

impl AppendKernels {
    /// Compiles the kernels, or takes them from the cache. `dtype` is the format of Q, K and V, `kv_dtype` the format
    /// of the caches.
    pub fn new(device: &Arc<dyn ComputeDevice>, dtype: DType, kv_dtype: DType) -> Result<Self> {
        let source = KernelSource {
            file: "rope",
            text: include_str!("../../kernels/rope.cu"),
            defines: vec![
                ("REAL", dtype.kernel_type().to_owned()),
                ("KV", kv_dtype.kernel_type().to_owned()),
            ],
        };
        let append = VectorKernel::new(device, &source, ["append", "append_pairs"], 2)?;
        let squares = device.kernel(&source, "squares")?;
        Ok(Self { device: Arc::clone(device), dtype, append, squares })
    }

    /// Queues the operation, one launch. Shapes are those of [`KvAppend`].
    ///
    /// # Errors
    /// [`Error::Unsupported`] if more than 128 pairs are rotated, and [`Error::Bug`] if a view is too small.
    pub fn append(&self, op: &KvAppend<'_>) -> Result<()> {
        let (rows, number) = (op.rows, self.dtype.size());
        if rows == 0 {
            return Ok(());
        }
        let (pairs, factor) = op.rotary.map_or((0, 1.0), |rotary| (rotary.pairs, rotary.factor));
        if pairs > MOST_PAIRS || 2 * pairs > op.dim {
            return Err(Error::Unsupported(format!(
                "{pairs} pairs of dimensions of a head of {} are to be rotated, and the kernel rotates at most {MOST_PAIRS}, \
                 within a head: run the model on the CPU",
                op.dim
            )));
        }
        let frequencies = op.rotary.map_or(Ok(0), |rotary| {
            rotary.inverse_frequencies.checked_address("inverse frequencies", pairs * 4)
        });
        let is_own = op.rotary.is_some_and(|rotary| rotary.by_sequence);
        let frequency_stride = if is_own { pairs as u64 } else { 0 };
        let (width, indices) = (op.width()?, checked_product(&[rows, 4])?);
        let (norm, gains, eps, squares) = op.kernel_norm()?;
        let all_heads = op.heads + 2 * op.kv_heads;
        // With few rows, each head gets a warp, so that the GPU is busy. With many rows, a warp computes its angles
        // once for several heads.
        let is_small = rows < 4 * self.device.multiprocessors();
        let heads_per_warp = if is_small { 1 } else { all_heads.div_ceil(WARPS) };
        let parameters = AppendParameters {
            qkv: op.qkv.checked_address("Q, K and V", checked_product(&[rows, width, number])?)?,
            queries: op
                .queries
                .checked_address("queries", checked_product(&[rows, op.heads, op.dim, number])?)?,
            sequences: op
                .sequences
                .checked_address("sequences", size_of::<super::SequenceEntry>())?,
            row_sequences: op.row_sequences.checked_address("rows' sequences", indices)?,
            positions: op.positions.checked_address("positions", indices)?,
            frequencies: frequencies?,
            frequency_stride,
            gains,
            squares,
            heads: to_u32(op.heads)?,
            kv_heads: to_u32(op.kv_heads)?,
            dim: to_u32(op.dim)?,
            layer: to_u32(op.layer)?,
            pairs: to_u32(pairs)?,
            norm,
            heads_per_warp: to_u32(heads_per_warp)?,
            eps,
            factor,
            width: to_u32(width)?,
        };
        let addresses = [parameters.qkv, parameters.queries, gains[0], gains[1]];
        let (kernel, _) = self.append.select(&[op.dim, pairs], &addresses);
        let blocks = [to_u32(rows)?, to_u32(all_heads.div_ceil(WARPS * heads_per_warp))?, 1];
        let grid = LaunchGrid { blocks, threads: 32 * WARPS as u32, shared: 0 };
        // SAFETY: the struct has the kernel's layout, and the views hold its rows. The caller answers for the sequences.
        unsafe { self.device.launch(kernel, grid, KernelParameters::new(&parameters)) }
    }

    /// Queues this rank's part of the mean squares for [`QueryKeyNorm::AllHeads`], one launch. The caller sums it over
    /// ranks. `out[row] = [Σ q² · factors[0], Σ k² · factors[1]]`.
    ///
    /// # Shapes
    /// - `op.qkv`: `[rows, (heads + 2 * kv_heads) * dim]`
    /// - `out`: f32 `[rows, 2]`, written
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small.
    pub fn squares(&self, op: &KvAppend<'_>, factors: [f32; 2], out: View<'_>) -> Result<()> {
        if op.rows == 0 {
            return Ok(());
        }
        let width = op.width()?;
        let parameters = SquaresParameters {
            qkv: op.qkv.checked_address(
                "Q, K and V",
                checked_product(&[op.rows, width, self.dtype.size()])?,
            )?,
            out: out.checked_address("mean squares", checked_product(&[op.rows, 8])?)?,
            factors,
            numbers: [to_u32(op.heads * op.dim)?, to_u32(op.kv_heads * op.dim)?],
            width: to_u32(width)?.into(),
        };
        let blocks = [to_u32(op.rows)?, 1, 1];
        let grid = LaunchGrid { blocks, threads: 32 * WARPS as u32, shared: 0 };
        // SAFETY: the struct has the kernel's layout, and the views hold its rows.
        unsafe { self.device.launch(self.squares, grid, KernelParameters::new(&parameters)) }
    }
}
