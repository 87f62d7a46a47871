//! Residual sums and norms (`kernels/norm.cu`).

use super::launch::{VectorKernel, product, size};
use crate::{DType, Device, Grid, Parameters, Result, Source, View};
use std::sync::Arc;

/// A norm's weights.
#[derive(Clone, Copy)]
pub struct NormWeights<'a> {
    /// f32 `[width]`, what is added to a checkpoint's gain included.
    pub gain: View<'a>,
    /// f32 `[width]`.
    pub bias: Option<View<'a>>,
    /// Added to the mean square or variance.
    pub eps: f32,
    /// Whether it is LayerNorm (mean subtracted) rather than RMSNorm.
    pub layer: bool,
    /// What adapters put in place of gain and bias: a table of [`NormChange`] by adapter index.
    pub changes: Option<View<'a>>,
}

/// What one adapter puts in place of a norm's weights; 0 leaves the base model's.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NormChange {
    /// Address of f32 `[width]`, a multiple of 16.
    pub gain: u64,
    /// Address of f32 `[width]`, a multiple of 16.
    pub bias: u64,
}

/// `x += post(deltas[0] + deltas[1])`, and `out = norm(x)`: every part may be left out.
#[derive(Clone, Copy)]
pub struct AddNorm<'a> {
    /// Rows of deltas and `out`.
    pub rows: usize,
    /// Numbers of a row.
    pub width: usize,
    /// `[rows, width]`; more rows with an index.
    pub x: View<'a>,
    /// `[rows, width]` each (`x`'s rows with an index).
    pub deltas: [Option<View<'a>>; 2],
    /// Of the deltas' sum before it is added.
    pub post: Option<NormWeights<'a>>,
    /// The norm of the sum, and where it goes: `[rows, width]`.
    pub norm: Option<(NormWeights<'a>, View<'a>)>,
    /// u32 `[rows]`: which rows of `x` and of the deltas are taken; `x` is then not written.
    pub index: Option<View<'a>>,
    /// u32 `[rows]` (of `out`): each row's adapter index or `NONE`.
    pub adapters: Option<View<'a>>,
}

/// The kernels, compiled for a device and a format.
pub struct Norms {
    device: Arc<dyn Device>,
    dtype: DType,
    add_norm: VectorKernel,
}

/// The most threads of a block. Each of them takes a share of a row's columns.
const THREADS: usize = 512;

/// `struct NormWeights` of the kernel.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct KernelWeights {
    gain: u64,
    bias: u64,
    changes: u64,
    eps: f32,
    layer: u32,
}

impl KernelWeights {
    fn new(weights: &NormWeights<'_>, width: usize) -> Result<Self> {
        let bytes = product(&[width, 4])?;
        Ok(Self {
            gain: weights.gain.holds("a norm's gain", bytes)?,
            bias: weights.bias.map_or(Ok(0), |bias| bias.holds("a norm's bias", bytes))?,
            changes: weights.changes.map_or(0, |changes| changes.address),
            eps: weights.eps,
            layer: weights.layer.into(),
        })
    }
}

/// `struct AddNorm` of the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelAddNorm {
    x: u64,
    deltas: [u64; 2],
    out: u64,
    index: u64,
    adapters: u64,
    post: KernelWeights,
    norm: KernelWeights,
    width: u64,
}

impl Norms {
    /// Compiles them.
    pub fn new(device: &Arc<dyn Device>, dtype: DType) -> Result<Self> {
        let source = Source {
            file: "norm",
            text: include_str!("../../kernels/norm.cu"),
            defines: vec![("REAL", dtype.kernel_type().to_owned())],
        };
        let names = ["add_norm", "add_norm_vector"];
        let add_norm = VectorKernel::new(device, &source, names, 16 / dtype.size())?;
        Ok(Self { device: Arc::clone(device), dtype, add_norm })
    }

    /// Queues it; one launch.
    pub fn add_norm(&self, op: &AddNorm<'_>) -> Result<()> {
        let (rows, width) = (op.rows, op.width);
        let deltas = op.deltas.iter().any(Option::is_some);
        if rows == 0 || width == 0 || (!deltas && op.norm.is_none()) {
            return Ok(());
        }
        let bytes = product(&[rows, width, self.dtype.size()])?;
        // With an index only the device knows which rows are taken.
        let taken = if op.index.is_some() { bytes / rows } else { bytes };
        let indices = product(&[rows, 4])?;
        let [first, second] = op.deltas.map(|delta| {
            delta.map_or(Ok(0), |delta| delta.holds("what is added to a residual", taken))
        });
        let weights = |weights: &NormWeights<'_>| KernelWeights::new(weights, width);
        let (norm, out) = match &op.norm {
            Some((norm, out)) => (weights(norm)?, out.holds("a norm's output", bytes)?),
            None => (KernelWeights::default(), 0),
        };
        let parameters = KernelAddNorm {
            x: op.x.holds("a residual", taken)?,
            deltas: [first?, second?],
            out,
            index: op.index.map_or(Ok(0), |index| index.holds("an index of rows", indices))?,
            adapters: op.adapters.map_or(Ok(0), |rows| rows.holds("rows' adapters", indices))?,
            post: op.post.as_ref().filter(|_| deltas).map_or(Ok(Default::default()), weights)?,
            norm,
            width: size(width)?.into(),
        };
        let KernelAddNorm { x, deltas: [first, second], out, post, norm, .. } = parameters;
        let addresses = [x, first, second, out, post.gain, post.bias, norm.gain, norm.bias];
        let (kernel, numbers) = self.add_norm.of(&[width], &addresses);
        let threads = width.div_ceil(numbers).next_multiple_of(32).min(THREADS) as u32;
        let shared = size(product(&[width, 4])?)?;
        let grid = Grid { blocks: [size(rows)?, 1, 1], threads, shared };
        // SAFETY: the struct is the kernel's, and the views hold as many rows as it reads and writes.
        unsafe { self.device.launch(kernel, grid, Parameters::of(&parameters)) }
    }
}
