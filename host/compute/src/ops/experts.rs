//! Routing, and products of the experts that rows go to (`kernels/experts.cu`, `grouped.cu`, `grouped_f32.cu`).
//!
//! A *pair* is a row and one of its experts: pair `row · active + k`. Pairs are sorted by expert on the device, and cut into tiles
//! of pairs of one expert, so that each block of a grouped product reads one expert's weights.

use crate::{DType, Device, Error, Grid, Kernel, Parameters, Result, Source, View};
use std::sync::Arc;

/// How rows are dealt out.
#[derive(Clone, Copy, Debug)]
pub struct Routing {
    /// Rows.
    pub rows: usize,
    /// Experts on all ranks.
    pub count: usize,
    /// Experts of a row.
    pub active: usize,
    /// Whether the shares of the chosen ones are made to sum to 1.
    pub renormalise: bool,
    /// The first expert that this rank has.
    pub first: usize,
    /// How many it has.
    pub own: usize,
}

/// What routing writes.
#[derive(Clone, Copy)]
pub struct Routed<'a> {
    /// u32 `[rows · active]`: each pair's expert, counted from this rank's first, or `NONE` if it is another rank's.
    pub experts: View<'a>,
    /// f32 `[rows · active]`: each pair's share.
    pub shares: View<'a>,
    /// u32 `[rows · active]`: pairs of this rank in the order of their experts.
    pub order: View<'a>,
    /// u32 `[1 + 3 · Experts::most_tiles]`: how many tiles, and of each expert, first place in `order`, pairs.
    pub tiles: View<'a>,
}

/// A product of pairs with their experts' weights.
#[derive(Clone, Copy)]
pub struct Grouped<'a> {
    /// `[rows, inputs]`, or `[pairs, inputs]`.
    pub x: View<'a>,
    /// Whether `x` has a row for each row rather than for each pair.
    pub by_row: bool,
    /// u64 `[own]`: addresses of weights, `[outputs, inputs]` each. Multiples of 16 bytes are read faster.
    pub weights: View<'a>,
    /// Columns.
    pub inputs: usize,
    /// Rows of a weight.
    pub outputs: usize,
    /// `[pairs, outputs]`: only those of this rank's experts are written.
    pub y: View<'a>,
}

/// The kernels' parameters.
#[repr(C)]
#[derive(Clone, Copy)]
struct Choose {
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
struct Sort {
    experts: u64,
    order: u64,
    tiles: u64,
    pairs: u32,
    tile: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Multiply {
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
struct Combine {
    experts: u64,
    shares: u64,
    x: u64,
    y: u64,
    width: u64,
    active: u64,
}

/// A kernel of grouped products, and what one of its blocks multiplies.
#[derive(Clone, Copy)]
struct Shape {
    kernel: Kernel,
    /// Pairs at most.
    pairs: usize,
    /// Rows of a weight at most.
    outputs: usize,
}

/// Pairs of the smallest tile.
const FEWEST_PAIRS: usize = 16;

/// Pairs an expert from which on large tiles are used: half of such a tile.
const MANY_PAIRS: usize = 32;

/// Threads of a block that sorts, that sums, and that does anything else.
const SORTING: usize = 512;
const SUMMING: usize = 256;
const THREADS: usize = 128;

/// The kernels, compiled for a device and a format.
pub struct Experts {
    device: Arc<dyn Device>,
    dtype: DType,
    choose: Kernel,
    sort: Kernel,
    combine: Kernel,
    few: Shape,
    many: Shape,
}

impl Experts {
    /// Compiles them.
    pub fn new(device: &Arc<dyn Device>, dtype: DType) -> Result<Self> {
        let source = |file, text| Source {
            file,
            text,
            defines: vec![("REAL", dtype.kernel_type().to_owned())],
        };
        let experts = source("experts", include_str!("../../kernels/experts.cu"));
        let (few, many) = match dtype {
            DType::F32 => {
                let grouped = source("grouped_f32", include_str!("../../kernels/grouped_f32.cu"));
                let kernel = device.kernel(&grouped, "grouped")?;
                let shape = Shape { kernel, pairs: FEWEST_PAIRS, outputs: 32 };
                (shape, shape)
            }
            DType::Bf16 | DType::F16 => {
                let grouped = source("grouped", include_str!("../../kernels/grouped.cu"));
                let shape = |name, pairs, outputs| {
                    Ok(Shape { kernel: device.kernel(&grouped, name)?, pairs, outputs })
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

    /// Tiles that the pairs of so many rows, or fewer, can make at most: what [`Routed::tiles`] has to have room for.
    pub fn most_tiles(&self, routing: &Routing) -> usize {
        most_tiles(routing, FEWEST_PAIRS)
    }

    fn shape(&self, routing: &Routing) -> Shape {
        match routing.rows * routing.active >= MANY_PAIRS * routing.count {
            true => self.many,
            false => self.few,
        }
    }

    /// From router logits `[rows, count]` to pairs: a softmax over all in f32, then the largest, the first of equal ones first.
    /// Where a logit is not a number, neither are the row's shares. Two launches.
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small, or experts do not add up.
    pub fn route(&self, routing: &Routing, logits: View<'_>, routed: &Routed<'_>) -> Result<()> {
        let Routing { rows, count, active, renormalise, first, own } = *routing;
        if active == 0 || active > count || own == 0 || first + own > count {
            return Err(Error::Bug(format!("rows cannot be dealt out so: {routing:?}")));
        }
        if rows == 0 {
            return Ok(());
        }
        let pairs = rows * active;
        let choose = Choose {
            logits: logits.holds("router logits", rows * count * self.dtype.size())?,
            experts: routed.experts.holds("experts of pairs", 4 * pairs)?,
            shares: routed.shares.holds("shares of pairs", 4 * pairs)?,
            rows: rows as u32,
            count: count as u32,
            active: active as u32,
            renormalise: u32::from(renormalise),
            first: first as u32,
            own: own as u32,
        };
        let sort = Sort {
            experts: choose.experts,
            order: routed.order.holds("the order of pairs", 4 * pairs)?,
            tiles: routed.tiles.holds("tiles", 4 + 12 * self.most_tiles(routing))?,
            pairs: pairs as u32,
            tile: self.shape(routing).pairs as u32,
        };
        let choosing = Grid {
            blocks: [rows.div_ceil(THREADS / 32) as u32, 1, 1],
            threads: THREADS as u32,
            shared: 0,
        };
        let sorting =
            Grid { blocks: [own as u32, 1, 1], threads: SORTING as u32, shared: 4 * own as u32 };
        // SAFETY: the views hold what the kernels read and write.
        unsafe {
            self.device.launch(self.choose, choosing, Parameters::of(&choose))?;
            self.device.launch(self.sort, sorting, Parameters::of(&sort))
        }
    }

    /// The product of each pair of this rank with its expert's weight. One launch.
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small.
    pub fn product(
        &self,
        routing: &Routing,
        routed: &Routed<'_>,
        grouped: &Grouped<'_>,
    ) -> Result<()> {
        let Grouped { inputs, outputs, .. } = *grouped;
        let pairs = routing.rows * routing.active;
        if pairs == 0 || outputs == 0 {
            return Ok(());
        }
        let x_rows = if grouped.by_row { routing.rows } else { pairs };
        let shape = self.shape(routing);
        let parameters = Multiply {
            x: grouped.x.holds("rows of pairs", x_rows * inputs * self.dtype.size())?,
            weights: grouped.weights.holds("addresses of weights", 8 * routing.own)?,
            order: routed.order.holds("the order of pairs", 4 * pairs)?,
            tiles: routed.tiles.holds("tiles", 4 + 12 * self.most_tiles(routing))?,
            y: grouped.y.holds("products of pairs", pairs * outputs * self.dtype.size())?,
            inputs: inputs as u32,
            outputs: outputs as u32,
            per_row: if grouped.by_row { routing.active as u64 } else { 1 },
        };
        let tiles = most_tiles(routing, shape.pairs) as u32;
        let blocks = [tiles, outputs.div_ceil(shape.outputs) as u32, 1];
        let grid = Grid { blocks, threads: THREADS as u32, shared: 0 };
        // SAFETY: the views hold what the kernel reads and writes; the addresses are those of weights of this size.
        unsafe { self.device.launch(shape.kernel, grid, Parameters::of(&parameters)) }
    }

    /// `y[row] = Σ share · x[pair]` over this rank's pairs, zeros where it has none; `x` is `[pairs, width]`. One launch.
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small.
    pub fn combine(
        &self,
        routing: &Routing,
        routed: &Routed<'_>,
        width: usize,
        x: View<'_>,
        y: View<'_>,
    ) -> Result<()> {
        let (rows, pairs) = (routing.rows, routing.rows * routing.active);
        if rows == 0 || width == 0 {
            return Ok(());
        }
        let parameters = Combine {
            experts: routed.experts.holds("experts of pairs", 4 * pairs)?,
            shares: routed.shares.holds("shares of pairs", 4 * pairs)?,
            x: x.holds("what experts give", pairs * width * self.dtype.size())?,
            y: y.holds("sums of experts", rows * width * self.dtype.size())?,
            width: width as u64,
            active: routing.active as u64,
        };
        let blocks = [rows as u32, width.div_ceil(SUMMING) as u32, 1];
        let grid = Grid { blocks, threads: SUMMING as u32, shared: 0 };
        // SAFETY: the views hold what the kernel reads and writes.
        unsafe { self.device.launch(self.combine, grid, Parameters::of(&parameters)) }
    }
}

/// The most tiles of `tile` pairs: each expert of this rank that has any may have one that is not full.
fn most_tiles(routing: &Routing, tile: usize) -> usize {
    let pairs = routing.rows * routing.active;
    (pairs + (tile - 1) * routing.own.min(pairs)) / tile
}
