//! From a row of Q, K and V to rotated queries and the KV cache (`kernels/rope.cu`).

use super::launch::{VectorKernel, product, size};
use crate::{DType, Device, Error, Grid, Kernel, Parameters, Result, Source, View};
use std::sync::Arc;

/// Norms of queries and keys, RMS.
#[derive(Clone, Copy)]
pub enum QueryNorm<'a> {
    /// None.
    None,
    /// Of each head by itself: gains f32 `[head_dim]` of queries and of keys.
    EachHead([View<'a>; 2], f32),
    /// Of all heads of a row together: gains f32 `[heads * head_dim]` and `[kv_heads * head_dim]` of this rank's heads. With
    /// the mean squares of all ranks' heads, f32 `[rows, 2]`, where there are several ranks.
    AllHeads([View<'a>; 2], f32, Option<View<'a>>),
}

/// A rotary embedding.
#[derive(Clone, Copy)]
pub struct Rotary<'a> {
    /// f32 `[pairs]`, or `[sequences, pairs]` where each sequence has its own; radians per position. Dimension i is rotated
    /// with dimension i + pairs.
    pub inverse_frequencies: View<'a>,
    /// Whether each sequence has its own.
    pub by_sequence: bool,
    /// Pairs of dimensions that are rotated; the others stay.
    pub pairs: usize,
    /// Cosines and sines are multiplied by this.
    pub factor: f32,
}

/// Norm, rotate, write queries, and append keys and values to the caches. Angles are `position as f32 * frequency` in f32.
#[derive(Clone, Copy)]
pub struct Append<'a> {
    /// Rows.
    pub rows: usize,
    /// This rank's query heads.
    pub heads: usize,
    /// This rank's key and value heads.
    pub kv_heads: usize,
    /// Width of a head.
    pub dim: usize,
    /// The layer's place in the caches.
    pub layer: usize,
    /// `[rows, (heads + 2 kv_heads) * dim]`: Q, K, V.
    pub qkv: View<'a>,
    /// `[rows, heads * dim]`, written.
    pub queries: View<'a>,
    /// Table of [`super::Sequence`], whose caches' addresses are multiples of 16.
    pub sequences: View<'a>,
    /// u32 `[rows]`: each row's sequence.
    pub row_sequences: View<'a>,
    /// u32 `[rows]`: each row's position, `past` and up.
    pub positions: View<'a>,
    /// None leaves queries and keys as they are.
    pub rotary: Option<Rotary<'a>>,
    /// Before it.
    pub norm: QueryNorm<'a>,
}

/// The kernels, compiled for a device and formats.
pub struct Appends {
    device: Arc<dyn Device>,
    dtype: DType,
    append: VectorKernel,
    squares: Kernel,
}

/// Warps of a block.
const WARPS: usize = 8;

/// The widest head part that is rotated: a lane keeps the angles of 4 pairs.
const MOST_PAIRS: usize = 128;

/// `struct Append` of the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelAppend {
    qkv: u64,
    queries: u64,
    sequences: u64,
    row_sequences: u64,
    positions: u64,
    frequencies: u64,
    /// Numbers from those of a sequence to those of the next; 0 where all have the same.
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

/// `struct Squares` of the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelSquares {
    qkv: u64,
    out: u64,
    factors: [f32; 2],
    numbers: [u32; 2],
    width: u64,
}

/// A norm as the kernel takes it: which, its gains, what is added to the mean square, and given mean squares.
type KernelNorm = (u32, [u64; 2], f32, u64);

impl Append<'_> {
    /// Numbers of a row of Q, K and V.
    fn width(&self) -> Result<usize> {
        product(&[self.heads + 2 * self.kv_heads, self.dim])
    }

    fn kernel_norm(&self) -> Result<KernelNorm> {
        let gains = |[queries, keys]: [View<'_>; 2], numbers: [usize; 2]| -> Result<[u64; 2]> {
            Ok([
                queries.holds("gains of queries", product(&[numbers[0], 4])?)?,
                keys.holds("gains of keys", product(&[numbers[1], 4])?)?,
            ])
        };
        Ok(match self.norm {
            QueryNorm::None => (0, [0; 2], 0.0, 0),
            QueryNorm::EachHead(views, eps) => (1, gains(views, [self.dim; 2])?, eps, 0),
            QueryNorm::AllHeads(views, eps, squares) => {
                let numbers = [self.heads, self.kv_heads].map(|heads| heads * self.dim);
                let bytes = product(&[self.rows, 8])?;
                let squares = squares.map_or(Ok(0), |it| it.holds("mean squares", bytes))?;
                (2, gains(views, numbers)?, eps, squares)
            }
        })
    }
}

impl Appends {
    /// Compiles them.
    pub fn new(device: &Arc<dyn Device>, dtype: DType, kv_dtype: DType) -> Result<Self> {
        let source = Source {
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

    /// Queues it; one launch.
    pub fn append(&self, op: &Append<'_>) -> Result<()> {
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
            rotary.inverse_frequencies.holds("inverse frequencies", pairs * 4)
        });
        let is_own = op.rotary.is_some_and(|rotary| rotary.by_sequence);
        let frequency_stride = if is_own { pairs as u64 } else { 0 };
        let (width, indices) = (op.width()?, product(&[rows, 4])?);
        let (norm, gains, eps, squares) = op.kernel_norm()?;
        let all_heads = op.heads + 2 * op.kv_heads;
        // Few rows spread their heads over the card; many compute their angles once for several heads.
        let is_small = rows < 4 * self.device.multiprocessors();
        let heads_per_warp = if is_small { 1 } else { all_heads.div_ceil(WARPS) };
        let parameters = KernelAppend {
            qkv: op.qkv.holds("Q, K and V", product(&[rows, width, number])?)?,
            queries: op.queries.holds("queries", product(&[rows, op.heads, op.dim, number])?)?,
            sequences: op.sequences.holds("sequences", size_of::<super::Sequence>())?,
            row_sequences: op.row_sequences.holds("rows' sequences", indices)?,
            positions: op.positions.holds("positions", indices)?,
            frequencies: frequencies?,
            frequency_stride,
            gains,
            squares,
            heads: size(op.heads)?,
            kv_heads: size(op.kv_heads)?,
            dim: size(op.dim)?,
            layer: size(op.layer)?,
            pairs: size(pairs)?,
            norm,
            heads_per_warp: size(heads_per_warp)?,
            eps,
            factor,
            width: size(width)?,
        };
        let addresses = [parameters.qkv, parameters.queries, gains[0], gains[1]];
        let (kernel, _) = self.append.of(&[op.dim, pairs], &addresses);
        let blocks = [size(rows)?, size(all_heads.div_ceil(WARPS * heads_per_warp))?, 1];
        let grid = Grid { blocks, threads: 32 * WARPS as u32, shared: 0 };
        // SAFETY: the struct is the kernel's, and the views hold its rows; the sequences and what they point to are the caller's.
        unsafe { self.device.launch(kernel, grid, Parameters::of(&parameters)) }
    }

    /// This rank's share of the mean squares: `out[row] = [sum q² · factors[0], sum k² · factors[1]]`, f32 `[rows, 2]`.
    pub fn squares(&self, op: &Append<'_>, factors: [f32; 2], out: View<'_>) -> Result<()> {
        if op.rows == 0 {
            return Ok(());
        }
        let width = op.width()?;
        let parameters = KernelSquares {
            qkv: op.qkv.holds("Q, K and V", product(&[op.rows, width, self.dtype.size()])?)?,
            out: out.holds("mean squares", product(&[op.rows, 8])?)?,
            factors,
            numbers: [size(op.heads * op.dim)?, size(op.kv_heads * op.dim)?],
            width: size(width)?.into(),
        };
        let blocks = [size(op.rows)?, 1, 1];
        let grid = Grid { blocks, threads: 32 * WARPS as u32, shared: 0 };
        // SAFETY: the struct is the kernel's, and the views hold its rows.
        unsafe { self.device.launch(self.squares, grid, Parameters::of(&parameters)) }
    }
}
