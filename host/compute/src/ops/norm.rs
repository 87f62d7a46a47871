//! Residual sums and norms (`kernels/norm.cu`).

use super::launch::{VectorKernel, checked_product, to_u32};
use crate::{ComputeDevice, DType, KernelParameters, KernelSource, LaunchGrid, Result, View};
use std::sync::Arc;

/// The weights of a norm.
#[derive(Clone, Copy)]
pub struct NormWeights<'a> {
    /// f32 `[width]`: the gain. Some checkpoints store the gain minus 1; here the 1 is already added.
    pub gain: View<'a>,
    /// f32 `[width]`: the bias.
    pub bias: Option<View<'a>>,
    /// Number that is added to the mean square or the variance.
    pub eps: f32,
    /// Whether the norm is LayerNorm, which subtracts the mean. Otherwise it is RMSNorm.
    pub layer: bool,
    /// `[adapters]` of [`NormChange`]: the weights that adapters put in place of these.
    pub changes: Option<View<'a>>,
}

/// The weights that one adapter puts in place of a norm's, as kernels read them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NormChange {
    /// Address of the gain, f32 `[width]`, a multiple of 16. 0 keeps the base model's gain.
    pub gain: u64,
    /// Address of the bias, f32 `[width]`, a multiple of 16. 0 keeps the base model's bias.
    pub bias: u64,
}

/// A residual sum and a norm: `x += post(deltas[0] + deltas[1])`, then `out = norm(x)`. Each part may be left out.
///
/// # Shapes
/// - `x`: `[rows, width]`, read and written. With an `index` it may have more rows and is only read.
/// - `deltas`: like `x`, each
/// - `norm`: its view is `[rows, width]`, written
/// - `index`: u32 `[rows]`
/// - `adapters`: u32 `[rows]`
#[derive(Clone, Copy)]
pub struct AddNorm<'a> {
    /// Number of rows of the result.
    pub rows: usize,
    /// Numbers in each row.
    pub width: usize,
    /// Residual stream: one row for each token.
    pub x: View<'a>,
    /// What is added to the residual.
    pub deltas: [Option<View<'a>>; 2],
    /// Norm of the deltas' sum before it is added.
    pub post: Option<NormWeights<'a>>,
    /// Norm of the new residual, and the view that receives it.
    pub norm: Option<(NormWeights<'a>, View<'a>)>,
    /// The rows of `x` and of the deltas to use. If it is set, `x` is not written.
    pub index: Option<View<'a>>,
    /// Adapter index of each row of the result, or [`NONE`](super::NONE).
    pub adapters: Option<View<'a>>,
}

/// The norm kernels, compiled for one device and number format.
pub struct NormKernels {
    device: Arc<dyn ComputeDevice>,
    dtype: DType,
    add_norm: VectorKernel,
}

/// Most threads of a block. Each block normalises one row, and each thread takes a share of its columns.
const THREADS: usize = 512;

/// Mirrors `struct NormWeights` of `kernels/norm.cu`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct WeightParameters {
    gain: u64,
    bias: u64,
    changes: u64,
    eps: f32,
    layer: u32,
}

impl WeightParameters {
    fn new(weights: &NormWeights<'_>, width: usize) -> Result<Self> {
        let bytes = checked_product(&[width, 4])?;
        Ok(Self {
            gain: weights.gain.checked_address("a norm's gain", bytes)?,
            bias: weights
                .bias
                .map_or(Ok(0), |bias| bias.checked_address("a norm's bias", bytes))?,
            changes: weights.changes.map_or(0, |changes| changes.address),
            eps: weights.eps,
            layer: weights.layer.into(),
        })
    }
}

/// Mirrors `struct AddNorm` of `kernels/norm.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct AddNormParameters {
    x: u64,
    deltas: [u64; 2],
    out: u64,
    index: u64,
    adapters: u64,
    post: WeightParameters,
    norm: WeightParameters,
    width: u64,
}

impl NormKernels {
    /// Compiles the kernels for numbers of format `dtype`, or takes them from the cache.
    pub fn new(device: &Arc<dyn ComputeDevice>, dtype: DType) -> Result<Self> {
        let source = KernelSource {
            file: "norm",
            text: include_str!("../../kernels/norm.cu"),
            defines: vec![("REAL", dtype.kernel_type().to_owned())],
        };
        let names = ["add_norm", "add_norm_vector"];
        let add_norm = VectorKernel::new(device, &source, names, 16 / dtype.size())?;
        Ok(Self { device: Arc::clone(device), dtype, add_norm })
    }

    /// Queues a residual sum and a norm, one launch. Shapes are those of [`AddNorm`].
    ///
    /// # Errors
    /// [`Error::Bug`](crate::Error::Bug) if a view is too small.
    pub fn add_norm(&self, op: &AddNorm<'_>) -> Result<()> {
        let (rows, width) = (op.rows, op.width);
        let deltas = op.deltas.iter().any(Option::is_some);
        if rows == 0 || width == 0 || (!deltas && op.norm.is_none()) {
            return Ok(());
        }
        let bytes = checked_product(&[rows, width, self.dtype.size()])?;
        // With an index, only the device knows which rows are read, so at least one row is required.
        let taken = if op.index.is_some() { bytes / rows } else { bytes };
        let indices = checked_product(&[rows, 4])?;
        let [first, second] = op.deltas.map(|delta| {
            delta.map_or(Ok(0), |delta| delta.checked_address("what is added to a residual", taken))
        });
        let weights = |weights: &NormWeights<'_>| WeightParameters::new(weights, width);
        let (norm, out) = match &op.norm {
            Some((norm, out)) => (weights(norm)?, out.checked_address("a norm's output", bytes)?),
            None => (WeightParameters::default(), 0),
        };
        let parameters = AddNormParameters {
            x: op.x.checked_address("a residual", taken)?,
            deltas: [first?, second?],
            out,
            index: op
                .index
                .map_or(Ok(0), |index| index.checked_address("an index of rows", indices))?,
            adapters: op
                .adapters
                .map_or(Ok(0), |rows| rows.checked_address("rows' adapters", indices))?,
            post: op.post.as_ref().filter(|_| deltas).map_or(Ok(Default::default()), weights)?,
            norm,
            width: to_u32(width)?.into(),
        };
        let AddNormParameters { x, deltas: [first, second], out, post, norm, .. } = parameters;
        let addresses = [x, first, second, out, post.gain, post.bias, norm.gain, norm.bias];
        let (kernel, numbers) = self.add_norm.select(&[width], &addresses);
        let threads = width.div_ceil(numbers).next_multiple_of(32).min(THREADS) as u32;
        let shared = to_u32(checked_product(&[width, 4])?)?;
        let grid = LaunchGrid { blocks: [to_u32(rows)?, 1, 1], threads, shared };
        // SAFETY: the struct has the kernel's layout, and the views hold as many rows as it reads and writes.
        unsafe { self.device.launch(kernel, grid, KernelParameters::new(&parameters)) }
    }
}
