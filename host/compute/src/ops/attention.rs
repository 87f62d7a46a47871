//! Attention over KV caches: splits of the keys for decode, tiles of queries for prefill.
//!
//! | | any formats, any head width | caches of the model's 16-bit format, head widths that 16 divides |
//! |---|---|---|
//! | decode | `kernels/attention_decode.cu` | `kernels/attention_decode_mma.cu` |
//! | what its splits give | `kernels/attention_combine.cu` | the same |
//! | prefill | `kernels/attention_prefill.cu` | `kernels/attention_prefill_mma.cu` |

use crate::{DType, Device, Error, Grid, Kernel, Parameters, Result, Source, View};
use std::f32::consts::LOG2_E;
use std::sync::Arc;

/// Keys of a decode split at least: a step for each warp of a block.
const SPLIT_KEYS: usize = 64;

/// Decode blocks for each multiprocessor before keys are split no further: as many run side by side.
const DECODE_BLOCKS: usize = 4;

/// Threads of a decode block.
const DECODE_THREADS: u32 = 128;

/// The widest head.
const MOST_DIM: usize = 256;

/// One layer's attention of a pass, after keys and values of the pass are in the caches. Scores and sums are f32.
#[derive(Clone, Copy)]
pub struct Attend<'a> {
    /// Rows of the pass.
    pub rows: usize,
    /// This rank's query heads.
    pub heads: usize,
    /// This rank's key and value heads, of which `heads` is a multiple.
    pub kv_heads: usize,
    /// The layer's place in the caches.
    pub layer: usize,
    /// Scores are multiplied by this.
    pub scale: f32,
    /// Scores become `cap · tanh(score / cap)`.
    pub softcap: Option<f32>,
    /// Keys that a query sees at most, itself included.
    pub window: Option<usize>,
    /// `[rows, heads * dim]`.
    pub queries: View<'a>,
    /// `[rows, heads * dim]`, written.
    pub out: View<'a>,
    /// Table of [`super::Sequence`].
    pub sequences: View<'a>,
}

/// Sequences that have one row each.
#[derive(Clone, Copy)]
pub struct Decode<'a> {
    /// u32 `[count]`: their places in the table.
    pub list: View<'a>,
    /// How many.
    pub count: usize,
    /// The most keys that any of them has, this pass' included.
    pub longest: usize,
    /// At least [`Attention::decode_scratch`] bytes of as many sequences and keys or more.
    pub scratch: View<'a>,
}

/// Tiles of at most [`Attention::tile`] queries of one sequence.
#[derive(Clone, Copy)]
pub struct Prefill<'a> {
    /// u32 `[count, 2]`: a sequence's place in the table, and the first of its rows (from 0) in the tile. The last tiles are
    /// taken first, so those that see the most keys belong at the end.
    pub tiles: View<'a>,
    /// How many.
    pub count: usize,
}

/// `struct Attend` of `kernels/attention.h`.
#[repr(C)]
#[derive(Clone, Copy)]
struct AttendParameters {
    queries: u64,
    out: u64,
    sequences: u64,
    list: u64,
    records: u64,
    heads: u32,
    kv_heads: u32,
    layer: u32,
    window: u32,
    count: u32,
    splits: u32,
    scale: f32,
    cap: f32,
}

/// The kernels of decode.
enum DecodeKernels {
    /// At most four heads of a group a block.
    Any(Kernel),
    /// At most 8, and at most 16.
    TensorCores(Kernel, Kernel),
}

/// The kernel of prefill, and its blocks.
struct PrefillKernel {
    kernel: Kernel,
    /// Queries.
    tile: usize,
    threads: u32,
    /// Bytes of shared memory.
    shared: usize,
}

/// The kernels, compiled for a device, formats and a width of heads.
pub struct Attention {
    device: Arc<dyn Device>,
    dtype: DType,
    dim: usize,
    decode: DecodeKernels,
    combine: Kernel,
    prefill: PrefillKernel,
}

impl Attention {
    /// Compiles them, for any `dim` up to 256.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another `dim`; otherwise what the device's compiler says.
    pub fn new(
        device: &Arc<dyn Device>,
        dtype: DType,
        kv_dtype: DType,
        dim: usize,
    ) -> Result<Self> {
        if dim == 0 || dim > MOST_DIM {
            return Err(Error::Unsupported(format!(
                "attention takes heads up to {MOST_DIM} wide, and these are {dim} wide: use another model or the CPU"
            )));
        }
        let kernel = |file, text, name, constants: &[(&'static str, usize)]| {
            let mut defines = vec![
                ("REAL", dtype.kernel_type().to_owned()),
                ("KV", kv_dtype.kernel_type().to_owned()),
                ("DIM", dim.to_string()),
            ];
            defines.extend(constants.iter().map(|&(name, value)| (name, value.to_string())));
            device.kernel(&Source { file, text, defines }, name)
        };
        let combine = kernel(
            "attention_combine",
            include_str!("../../kernels/attention_combine.cu"),
            "combine",
            &[],
        )?;
        let tensor_cores = dtype == kv_dtype && dtype != DType::F32 && dim.is_multiple_of(16);
        let (decode, prefill) = if tensor_cores {
            let decode = |name| {
                let text = include_str!("../../kernels/attention_decode_mma.cu");
                kernel("attention_decode_mma", text, name, &[])
            };
            // Queries of a tile and keys of a step: as many as a thread's 255 registers have room for without spills.
            let (tile, keys) = match dim {
                0..=64 => (128, 64),
                65..=128 => (128, 48),
                _ => (64, 32),
            };
            let prefill = PrefillKernel {
                kernel: kernel(
                    "attention_prefill_mma",
                    include_str!("../../kernels/attention_prefill_mma.cu"),
                    "prefill",
                    &[("QUERIES", tile), ("KEYS", keys)],
                )?,
                tile,
                threads: 128,
                // Rows are eight numbers longer than a head.
                shared: (tile + 2 * keys) * (dim + 8) * dtype.size(),
            };
            (DecodeKernels::TensorCores(decode("decode_8")?, decode("decode_16")?), prefill)
        } else {
            let text = include_str!("../../kernels/attention_decode.cu");
            let decode = kernel("attention_decode", text, "decode", &[])?;
            // As the kernel has them: rows of queries, and of keys or values, of whole pairs and one pair more; and the tile's
            // powers.
            let (tile, keys, row) = (32, 32, dim.next_multiple_of(2) + 2);
            let prefill = PrefillKernel {
                kernel: kernel(
                    "attention_prefill",
                    include_str!("../../kernels/attention_prefill.cu"),
                    "prefill",
                    &[],
                )?,
                tile,
                threads: 256,
                shared: ((tile + keys) * row + tile * (keys + 1)) * size_of::<f32>(),
            };
            (DecodeKernels::Any(decode), prefill)
        };
        Ok(Self { device: Arc::clone(device), dtype, dim, decode, combine, prefill })
    }

    /// Queries of a prefill tile.
    pub fn tile(&self) -> usize {
        self.prefill.tile
    }

    /// Bytes that decode needs at most for what its splits give, with so many sequences and keys or fewer.
    pub fn decode_scratch(&self, sequences: usize, heads: usize, longest: usize) -> usize {
        // Keys are split only as far as the blocks of all sequences have room side by side.
        let splits = (sequences * longest.div_ceil(SPLIT_KEYS)).min(self.resident_blocks());
        splits * heads * self.record()
    }

    /// Bytes of `struct Record` of `kernels/attention_split.h`.
    fn record(&self) -> usize {
        (self.dim + 2) * size_of::<f32>()
    }

    /// Decode blocks that run side by side, about.
    fn resident_blocks(&self) -> usize {
        DECODE_BLOCKS * self.device.multiprocessors()
    }

    /// Queues decode: two launches at most.
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small or heads do not fit the groups.
    pub fn decode(&self, attend: &Attend<'_>, decode: &Decode<'_>) -> Result<()> {
        if decode.count == 0 {
            return Ok(());
        }
        let mut parameters = self.parameters(attend, decode.list, decode.count, 1)?;
        let group = attend.heads / attend.kv_heads;
        let (kernel, chunks, shared) = match &self.decode {
            DecodeKernels::Any(kernel) => (*kernel, group.div_ceil(4), 0),
            DecodeKernels::TensorCores(eight, sixteen) => {
                // Four warps' rings of three slots of 16 keys or values.
                let shared = 4 * 3 * 16 * self.dim * self.dtype.size();
                match group <= 8 {
                    true => (*eight, 1, shared),
                    false => (*sixteen, group.div_ceil(16), shared),
                }
            }
        };
        let blocks = decode.count * attend.kv_heads * chunks;
        let keys = attend.window.map_or(decode.longest, |window| window.min(decode.longest));
        let splits = (self.resident_blocks() / blocks).min(keys.div_ceil(SPLIT_KEYS)).max(1);
        parameters.splits = splits as u32;
        if splits > 1 {
            let bytes = decode.count * attend.heads * splits * self.record();
            parameters.records = decode.scratch.holds("decode's scratch", bytes)?;
        }
        let parameters = Parameters::of(&parameters);
        let grid = Grid {
            blocks: [splits as u32, (attend.kv_heads * chunks) as u32, decode.count as u32],
            threads: DECODE_THREADS,
            shared: shared as u32,
        };
        // SAFETY: the parameters are the kernel's; queries, results and records have the size that is asked of their views. The
        // table's caches are the caller's.
        unsafe { self.device.launch(kernel, grid, parameters) }?;
        if splits > 1 {
            let blocks = [attend.heads as u32, decode.count as u32, 1];
            let grid = Grid { blocks, threads: DECODE_THREADS, shared: 0 };
            // SAFETY: as above; the records were written by the launch before.
            unsafe { self.device.launch(self.combine, grid, parameters) }?;
        }
        Ok(())
    }

    /// Queues prefill: one launch.
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small or heads do not fit the groups.
    pub fn prefill(&self, attend: &Attend<'_>, prefill: &Prefill<'_>) -> Result<()> {
        if prefill.count == 0 {
            return Ok(());
        }
        let parameters = self.parameters(attend, prefill.tiles, prefill.count, 2)?;
        let grid = Grid {
            blocks: [attend.heads as u32, prefill.count as u32, 1],
            threads: self.prefill.threads,
            shared: self.prefill.shared as u32,
        };
        // SAFETY: the parameters are the kernel's; queries and results have the size that is asked of their views. The table's
        // caches are the caller's.
        unsafe { self.device.launch(self.prefill.kernel, grid, Parameters::of(&parameters)) }
    }

    /// What all kernels take, of a list of `count` entries of `each` numbers.
    fn parameters(
        &self,
        attend: &Attend<'_>,
        list: View<'_>,
        count: usize,
        each: usize,
    ) -> Result<AttendParameters> {
        let Attend { rows, heads, kv_heads, layer, scale, softcap, window, .. } = *attend;
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            return Err(Error::Bug(format!("{heads} query heads for {kv_heads} KV heads")));
        }
        let bytes = rows * heads * self.dim * self.dtype.size();
        let queries = attend.queries.holds("attention's queries", bytes)?;
        let out = attend.out.holds("attention's result", bytes)?;
        if !queries.is_multiple_of(16) || !out.is_multiple_of(16) {
            return Err(Error::Bug(
                "attention's queries and result begin at multiples of 16 bytes".to_owned(),
            ));
        }
        Ok(AttendParameters {
            queries,
            out,
            sequences: attend
                .sequences
                .holds("the table of sequences", size_of::<super::Sequence>())?,
            list: list.holds("attention's list", count * each * size_of::<u32>())?,
            records: 0,
            heads: heads as u32,
            kv_heads: kv_heads as u32,
            layer: layer as u32,
            window: window.map_or(u32::MAX, |window| window as u32),
            count: count as u32,
            splits: 1,
            scale: softcap.map_or(scale * LOG2_E, |cap| scale / cap),
            cap: softcap.map_or(0.0, |cap| cap * LOG2_E),
        })
    }
}
