//! Attention over KV caches on a device. Decode splits a sequence's keys among blocks; prefill takes tiles of queries.
//!
//! | | any formats, any head width | caches in the model's 16-bit format, head widths that 16 divides |
//! |---|---|---|
//! | decode, each split | `kernels/attention_decode.cu` | `kernels/attention_decode_mma.cu` |
//! | decode, joining the splits | `kernels/attention_combine.cu` | `kernels/attention_combine.cu` |
//! | prefill | `kernels/attention_prefill.cu` | `kernels/attention_prefill_mma.cu` |

use crate::{
    ComputeDevice, DType, Error, Kernel, KernelParameters, KernelSource, LaunchGrid, Result, View,
};
use std::f32::consts::LOG2_E;
use std::sync::Arc;

/// Fewest keys of a decode split: with fewer, a warp of the block would have no step of 16 keys.
const SPLIT_KEYS: usize = 64;

/// Decode blocks that a multiprocessor runs side by side. Keys are not split into more blocks than all multiprocessors
/// can run at the same time.
const DECODE_BLOCKS: usize = 4;

/// Threads of a decode block.
const DECODE_THREADS: u32 = 128;

/// The widest head that the kernels take.
const MOST_DIM: usize = 256;

/// The attention of one layer in a forward pass. Keys and values of the pass are already in the caches. Scores and sums
/// are f32.
///
/// # Shapes
/// - `queries`: `[rows, heads * dim]`
/// - `out`: `[rows, heads * dim]`, written
/// - `sequences`: `[sequences]` of [`super::SequenceEntry`]
#[derive(Clone, Copy)]
pub struct LayerAttention<'a> {
    /// Number of rows of the pass.
    pub rows: usize,
    /// Query heads of this rank.
    pub heads: usize,
    /// Key and value heads of this rank. `heads` is a multiple of it.
    pub kv_heads: usize,
    /// Index of the layer in the caches.
    pub layer: usize,
    /// Factor of the scores, usually `1 / sqrt(dim)`.
    pub scale: f32,
    /// If set, a score becomes `cap · tanh(score / cap)`.
    pub softcap: Option<f32>,
    /// If set, the number of keys that a query sees at most, its own included.
    pub window: Option<usize>,
    /// Queries, rotated.
    pub queries: View<'a>,
    /// Receives the result.
    pub out: View<'a>,
    /// Table of the pass' sequences.
    pub sequences: View<'a>,
}

/// The sequences of a pass that have one row each.
#[derive(Clone, Copy)]
pub struct DecodeRows<'a> {
    /// u32 `[count]`: indices of the sequences in the table.
    pub list: View<'a>,
    /// Number of sequences.
    pub count: usize,
    /// Most keys of any of the sequences, including the key of this pass.
    pub longest: usize,
    /// Scratch memory: at least [`AttentionKernels::decode_scratch`] bytes for these sequences and keys, or for more.
    pub scratch: View<'a>,
}

/// Tiles of queries: each has at most [`AttentionKernels::tile`] queries of one sequence.
#[derive(Clone, Copy)]
pub struct PrefillTiles<'a> {
    /// u32 `[count, 2]`: index of the sequence in the table, and index of the tile's first query among the sequence's
    /// rows. Blocks take the last tiles first, so the tiles with the most keys belong at the end.
    pub tiles: View<'a>,
    /// Number of tiles in the list.
    pub count: usize,
}

/// Mirrors `struct Attend` of `kernels/attention.h`.
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
    /// For any formats: a block takes at most four heads of a group.
    Any(Kernel),
    /// With tensor cores: a block takes at most 8 heads of a group (the first kernel) or at most 16 (the second).
    TensorCores(Kernel, Kernel),
}

/// The kernel of prefill and the size of its blocks.
struct PrefillKernel {
    kernel: Kernel,
    /// Number of queries of a tile.
    tile: usize,
    threads: u32,
    /// Dynamic shared memory of a block, in bytes.
    shared: usize,
}

/// The attention kernels, compiled for one device, two number formats and one head width.
pub struct AttentionKernels {
    device: Arc<dyn ComputeDevice>,
    dtype: DType,
    dim: usize,
    decode: DecodeKernels,
    combine: Kernel,
    prefill: PrefillKernel,
}

impl AttentionKernels {
    /// Compiles the kernels, or takes them from the cache. `dtype` is the format of queries and results, `kv_dtype` the
    /// format of the caches, `dim` the head width, at most 256.
    ///
    /// # Errors
    /// [`Error::Unsupported`] if `dim` is 0 or larger than 256. Otherwise the errors of [`ComputeDevice::kernel`].
    pub fn new(
        device: &Arc<dyn ComputeDevice>,
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
            device.kernel(&KernelSource { file, text, defines }, name)
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
            // Queries of a tile and keys of a step: as many as fit a thread's 255 registers without spills.
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
                // A row in shared memory is eight numbers longer than a head, so that rows start in different banks.
                shared: (tile + 2 * keys) * (dim + 8) * dtype.size(),
            };
            (DecodeKernels::TensorCores(decode("decode_8")?, decode("decode_16")?), prefill)
        } else {
            let text = include_str!("../../kernels/attention_decode.cu");
            let decode = kernel("attention_decode", text, "decode", &[])?;
            // Shared memory of the kernel: rows of queries and of keys or values, each an even number of numbers and
            // two more, and the exponentials of the tile's scores.
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

    /// Returns the number of queries of a prefill tile.
    pub fn tile(&self) -> usize {
        self.prefill.tile
    }

    /// Returns the bytes of scratch memory that decode needs at most for the results of its splits. They suffice for
    /// fewer sequences and fewer keys too.
    pub fn decode_scratch(&self, sequences: usize, heads: usize, longest: usize) -> usize {
        // Keys are split only until the blocks of all sequences fill the device.
        let splits = (sequences * longest.div_ceil(SPLIT_KEYS)).min(self.resident_blocks());
        splits * heads * self.record()
    }

    /// Size of `struct Record` of `kernels/attention_split.h`, in bytes.
    fn record(&self) -> usize {
        (self.dim + 2) * size_of::<f32>()
    }

    /// Number of decode blocks that run side by side on the whole device, estimated.
    fn resident_blocks(&self) -> usize {
        DECODE_BLOCKS * self.device.multiprocessors()
    }

    /// Queues decode: one launch, or two if keys are split. Shapes are those of [`LayerAttention`] and [`DecodeRows`].
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small, is not aligned to 16 bytes, or if `kv_heads` does not divide `heads`.
    pub fn decode(&self, attend: &LayerAttention<'_>, decode: &DecodeRows<'_>) -> Result<()> {
        if decode.count == 0 {
            return Ok(());
        }
        let mut parameters = self.parameters(attend, decode.list, decode.count, 1)?;
        let group = attend.heads / attend.kv_heads;
        let (kernel, chunks, shared) = match &self.decode {
            DecodeKernels::Any(kernel) => (*kernel, group.div_ceil(4), 0),
            DecodeKernels::TensorCores(eight, sixteen) => {
                // Each of the four warps has a ring of three slots, and a slot holds 16 keys or values.
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
            parameters.records = decode.scratch.checked_address("decode's scratch", bytes)?;
        }
        let parameters = KernelParameters::new(&parameters);
        let grid = LaunchGrid {
            blocks: [splits as u32, (attend.kv_heads * chunks) as u32, decode.count as u32],
            threads: DECODE_THREADS,
            shared: shared as u32,
        };
        // SAFETY: the parameters have the kernel's layout, and the views are large enough for queries, results and
        // records. The caller answers for the caches in the table.
        unsafe { self.device.launch(kernel, grid, parameters) }?;
        if splits > 1 {
            let blocks = [attend.heads as u32, decode.count as u32, 1];
            let grid = LaunchGrid { blocks, threads: DECODE_THREADS, shared: 0 };
            // SAFETY: as for the launch above, which writes the records.
            unsafe { self.device.launch(self.combine, grid, parameters) }?;
        }
        Ok(())
    }

    /// Queues prefill: one launch. Shapes are those of [`LayerAttention`] and [`PrefillTiles`].
    ///
    /// # Errors
    /// [`Error::Bug`] if a view is too small, is not aligned to 16 bytes, or if `kv_heads` does not divide `heads`.
    pub fn prefill(&self, attend: &LayerAttention<'_>, prefill: &PrefillTiles<'_>) -> Result<()> {
        if prefill.count == 0 {
            return Ok(());
        }
        let parameters = self.parameters(attend, prefill.tiles, prefill.count, 2)?;
        let grid = LaunchGrid {
            blocks: [attend.heads as u32, prefill.count as u32, 1],
            threads: self.prefill.threads,
            shared: self.prefill.shared as u32,
        };
        // SAFETY: the parameters have the kernel's layout, and the views are large enough for queries and results. The
        // caller answers for the caches in the table.
        unsafe { self.device.launch(self.prefill.kernel, grid, KernelParameters::new(&parameters)) }
    }

    /// Checks the views and fills the parameters that all kernels take. `list` has `count` entries of `each` integers.
    fn parameters(
        &self,
        attend: &LayerAttention<'_>,
        list: View<'_>,
        count: usize,
        each: usize,
    ) -> Result<AttendParameters> {
        let LayerAttention { rows, heads, kv_heads, layer, scale, softcap, window, .. } = *attend;
        if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            return Err(Error::Bug(format!("{heads} query heads for {kv_heads} KV heads")));
        }
        let bytes = rows * heads * self.dim * self.dtype.size();
        let queries = attend.queries.checked_address("attention's queries", bytes)?;
        let out = attend.out.checked_address("attention's result", bytes)?;
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
                .checked_address("the table of sequences", size_of::<super::SequenceEntry>())?,
            list: list.checked_address("attention's list", count * each * size_of::<u32>())?,
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
