//! Mixture of experts: routing of rows to experts, and products with the experts' weights (`kernels/experts.cu`,
//! `grouped.cu`, `grouped_f32.cu`).
//!
//! A *pair* is a row and one of its experts: pair `row · active + k`. The device sorts pairs by expert and cuts them
//! into tiles. All pairs of a tile have the same expert, so each block of a grouped product reads the weights of one
//! expert.
//!
//! ```text
//! router logits [rows, count] ──route──► pairs, shares, tiles ──product──► [pairs, outputs] ──combine──► [rows, width]
//! ```

use crate::{
    ComputeDevice, DType, Error, Kernel, KernelParameters, KernelSource, LaunchGrid, Result, View,
};
use std::sync::Arc;

/// How rows are routed to experts.
#[derive(Clone, Copy, Debug)]
pub struct Routing {
    /// Number of rows.
    pub rows: usize,
    /// Number of experts on all ranks.
    pub count: usize,
    /// Number of experts that each row goes to.
    pub active: usize,
    /// Whether the shares of a row's chosen experts are divided by their sum, so that they sum to 1.
    pub renormalise: bool,
    /// Index of this rank's first expert.
    pub first: usize,
    /// Number of this rank's experts.
    pub own: usize,
}

/// The result of routing: which pairs this rank computes, and in which order.
#[derive(Clone, Copy)]
pub struct RoutedPairs<'a> {
    /// u32 `[rows · active]`: expert of each pair, counted from this rank's first expert, or [`NONE`](super::NONE) for
    /// another rank's expert.
    pub experts: View<'a>,
    /// f32 `[rows · active]`: share of each pair, the factor of its expert's output.
    pub shares: View<'a>,
    /// u32 `[rows · active]`: this rank's pairs, sorted by expert.
    pub order: View<'a>,
    /// u32 `[1 + 3 * most_tiles]` (see [`ExpertKernels::most_tiles`]): the number of tiles. Then for each tile its
    /// expert, the index of its first pair in `order`, and its number of pairs.
    pub tiles: View<'a>,
}

/// A product of each pair's row with the weight of the pair's expert.
///
/// # Shapes
/// - `x`: `[rows, inputs]`, or `[pairs, inputs]` without `by_row`
/// - `weights`: u64 `[own]`
/// - `y`: `[pairs, outputs]`, written for pairs of this rank's experts
#[derive(Clone, Copy)]
pub struct GroupedProduct<'a> {
    /// The rows to multiply.
    pub x: View<'a>,
    /// Whether `x` has one row for each row of the pass. Otherwise it has one row for each pair.
    pub by_row: bool,
    /// Address of each expert's weight, `[outputs, inputs]`. Weights at multiples of 16 bytes are read faster.
    pub weights: View<'a>,
    /// Columns of a weight.
    pub inputs: usize,
    /// Rows of each expert's weight.
    pub outputs: usize,
    /// Receives the products.
    pub y: View<'a>,
}

/// Mirrors `struct Choose` of `kernels/experts.cu`. The structs below mirror `Sort`, `Grouped` and `Combine`.
#[repr(C)]
#[derive(Clone, Copy)]
struct ChooseParameters {
    logits: u64,
    experts: u64,
    shares: u64,
    rows: u32,
    count: u32,
    active: u32,
    renormalise: u32,
    first: u32,
    own: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct SortParameters {
    experts: u64,
    order: u64,
    tiles: u64,
    pairs: u32,
    tile: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct MultiplyParameters {
    x: u64,
    weights: u64,
    order: u64,
    tiles: u64,
    y: u64,
    inputs: u32,
    outputs: u32,
    per_row: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct CombineParameters {
    experts: u64,
    shares: u64,
    x: u64,
    y: u64,
    width: u64,
    active: u64,
}

/// A kernel for grouped products, and the largest tile that one of its blocks multiplies.
#[derive(Clone, Copy)]
struct GroupedKernel {
    kernel: Kernel,
    /// Most pairs of a block.
    pairs: usize,
    /// Most rows of a weight of a block.
    outputs: usize,
}

/// Pairs of the smallest tile.
const FEWEST_PAIRS: usize = 16;

/// Average number of pairs per expert from which on large tiles are used: half a large tile.
const MANY_PAIRS: usize = 32;

/// Threads of a block of the kernels `sort`, `combine` and all others.
const SORTING: usize = 512;
const SUMMING: usize = 256;
const THREADS: usize = 128;

/// The kernels of experts, compiled for one device and number format.
pub struct ExpertKernels {
    device: Arc<dyn ComputeDevice>,
    dtype: DType,
    choose: Kernel,
    sort: Kernel,
    combine: Kernel,
    few: GroupedKernel,
    many: GroupedKernel,
}

impl ExpertKernels {
    /// Compiles the kernels for numbers of format `dtype`, or takes them from the cache.
    pub fn new(device: &Arc<dyn ComputeDevice>, dtype: DType) -> Result<Self> {
        let source = |file, text| KernelSource {
            file,
            text,
            defines: vec![("REAL", dtype.kernel_type().to_owned())],
        };
        let experts = source("experts", include_str!("../../kernels/experts.cu"));
        let (few, many) = match dtype {
            DType::F32 => {
                let grouped = source("grouped_f32", include_str!("../../kernels/grouped_f32.cu"));
                let kernel = device.kernel(&grouped, "grouped")?;
                let shape = GroupedKernel { kernel, pairs: FEWEST_PAIRS, outputs: 32 };
                (shape, shape)
            }
            DType::Bf16 | DType::F16 => {
                let grouped = source("grouped", include_str!("../../kernels/grouped.cu"));
                let shape = |name, pairs, outputs| {
                    Ok(GroupedKernel { kernel: device.kernel(&grouped, name)?, pairs, outputs })
                };
                (shape("grouped", FEWEST_PAIRS, 32)?, shape("grouped_many", 64, 64)?)
            }
        };
        Ok(Self {
            device: Arc::clone(device),
            dtype,
            choose: device.kernel(&experts, "choose")?,
            sort: device.kernel(&experts, "sort")?,
            combine: device.kernel(&experts, "combine")?,
            few,
            many,
        })
    }

    /// Returns the most tiles that the pairs of this many rows, or of fewer, can make. [`RoutedPairs::tiles`] needs
    /// room for them.
    pub fn most_tiles(&self, routing: &Routing) -> usize {
        most_tiles(routing, FEWEST_PAIRS)
    }

    fn shape(&self, routing: &Routing) -> GroupedKernel {
        match routing.rows * routing.active >= MANY_PAIRS * routing.count {
            true => self.many,
            false => self.few,
        }
    }

    /// Queues the routing of rows to experts, two launches.
    ///
    /// A row's probabilities are the softmax over all experts in f32. The experts with the largest ones are chosen; of
    /// equal ones, those with the lowest index. If a logit of a row is NaN, the row's shares are NaN.
    ///
    /// # Shapes
    /// - `logits`: `[rows, count]`
    /// - `routed`: see [`RoutedPairs`], written
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small, or if the numbers of `routing` contradict each other.
    pub fn route(
        &self,
        routing: &Routing,
        logits: View<'_>,
        routed: &RoutedPairs<'_>,
    ) -> Result<()> {
        let Routing { rows, count, active, renormalise, first, own } = *routing;
        if active == 0 || active > count || own == 0 || first + own > count {
            return Err(Error::Bug(format!("rows cannot be dealt out so: {routing:?}")));
        }
        if rows == 0 {
            return Ok(());
        }
        let pairs = rows * active;
        let choose = ChooseParameters {
            logits: logits.checked_address("router logits", rows * count * self.dtype.size())?,
            experts: routed.experts.checked_address("experts of pairs", 4 * pairs)?,
            shares: routed.shares.checked_address("shares of pairs", 4 * pairs)?,
            rows: rows as u32,
            count: count as u32,
            active: active as u32,
            renormalise: u32::from(renormalise),
            first: first as u32,
            own: own as u32,
        };
        let sort = SortParameters {
            experts: choose.experts,
            order: routed.order.checked_address("the order of pairs", 4 * pairs)?,
            tiles: routed.tiles.checked_address("tiles", 4 + 12 * self.most_tiles(routing))?,
            pairs: pairs as u32,
            tile: self.shape(routing).pairs as u32,
        };
        let choosing = LaunchGrid {
            blocks: [rows.div_ceil(THREADS / 32) as u32, 1, 1],
            threads: THREADS as u32,
            shared: 0,
        };
        let sorting = LaunchGrid {
            blocks: [own as u32, 1, 1],
            threads: SORTING as u32,
            shared: 4 * own as u32,
        };
        // SAFETY: the views hold what the kernels read and write.
        unsafe {
            self.device.launch(self.choose, choosing, KernelParameters::new(&choose))?;
            self.device.launch(self.sort, sorting, KernelParameters::new(&sort))
        }
    }

    /// Queues the product of each of this rank's pairs with its expert's weight, one launch. Shapes are those of
    /// [`GroupedProduct`].
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small.
    pub fn product(
        &self,
        routing: &Routing,
        routed: &RoutedPairs<'_>,
        grouped: &GroupedProduct<'_>,
    ) -> Result<()> {
        let GroupedProduct { inputs, outputs, .. } = *grouped;
        let pairs = routing.rows * routing.active;
        if pairs == 0 || outputs == 0 {
            return Ok(());
        }
        let x_rows = if grouped.by_row { routing.rows } else { pairs };
        let shape = self.shape(routing);
        let parameters = MultiplyParameters {
            x: grouped.x.checked_address("rows of pairs", x_rows * inputs * self.dtype.size())?,
            weights: grouped.weights.checked_address("addresses of weights", 8 * routing.own)?,
            order: routed.order.checked_address("the order of pairs", 4 * pairs)?,
            tiles: routed.tiles.checked_address("tiles", 4 + 12 * self.most_tiles(routing))?,
            y: grouped
                .y
                .checked_address("products of pairs", pairs * outputs * self.dtype.size())?,
            inputs: inputs as u32,
            outputs: outputs as u32,
            per_row: if grouped.by_row { routing.active as u64 } else { 1 },
        };
        let tiles = most_tiles(routing, shape.pairs) as u32;
        let blocks = [tiles, outputs.div_ceil(shape.outputs) as u32, 1];
        let grid = LaunchGrid { blocks, threads: THREADS as u32, shared: 0 };
        // SAFETY: the views hold what the kernel reads and writes; the addresses are those of weights of this size.
        unsafe { self.device.launch(shape.kernel, grid, KernelParameters::new(&parameters)) }
    }

    /// Queues the weighted sum of the experts' outputs: `y[row] = Σ share · x[pair]` over this rank's pairs, and zeros
    /// for rows without any. One launch.
    ///
    /// # Shapes
    /// - `x`: `[pairs, width]`
    /// - `y`: `[rows, width]`, written
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small.
    pub fn combine(
        &self,
        routing: &Routing,
        routed: &RoutedPairs<'_>,
        width: usize,
        x: View<'_>,
        y: View<'_>,
    ) -> Result<()> {
        let (rows, pairs) = (routing.rows, routing.rows * routing.active);
        if rows == 0 || width == 0 {
            return Ok(());
        }
        let parameters = CombineParameters {
            experts: routed.experts.checked_address("experts of pairs", 4 * pairs)?,
            shares: routed.shares.checked_address("shares of pairs", 4 * pairs)?,
            x: x.checked_address("what experts give", pairs * width * self.dtype.size())?,
            y: y.checked_address("sums of experts", rows * width * self.dtype.size())?,
            width: width as u64,
            active: routing.active as u64,
        };
        let blocks = [rows as u32, width.div_ceil(SUMMING) as u32, 1];
        let grid = LaunchGrid { blocks, threads: SUMMING as u32, shared: 0 };
        // SAFETY: the views hold what the kernel reads and writes.
        unsafe { self.device.launch(self.combine, grid, KernelParameters::new(&parameters)) }
    }
}

/// Returns the most tiles of `tile` pairs. Every expert of this rank that has pairs may have one tile that is not full.
fn most_tiles(routing: &Routing, tile: usize) -> usize {
    let pairs = routing.rows * routing.active;
    (pairs + (tile - 1) * routing.own.min(pairs)) / tile
}
