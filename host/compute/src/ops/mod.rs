//! One function for each kernel: it checks sizes, chooses the grid and queues the kernel.
//!
//! Numbers are of the model's format unless a field says otherwise; gains, biases, scores and sums are f32. A row is a token of
//! a pass; rows of all sequences lie one after another without padding.

pub mod activation;
pub mod attention;
pub mod embedding;
pub mod experts;
mod launch;
pub mod logits;
pub mod lora;
pub mod norm;
pub mod product;
pub mod rope;
pub mod rows;
pub mod sampling;
pub mod synthetic;

/// What stands for "no adapter" and "no expert" in tables of indices.
pub const NONE: u32 = u32::MAX;

/// A sequence of a pass, as kernels read it (`struct Sequence` of `kernels/sequence.h`).
///
/// Its KV cache is `[layers, 2, kv_heads, capacity, head_dim]`: keys, then values, of each layer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequence {
    /// Address of its KV cache.
    pub cache: u64,
    /// Tokens that the cache has room for.
    pub capacity: u32,
    /// Tokens that are in it before the pass.
    pub past: u32,
    /// Its first row of the pass.
    pub start: u32,
    /// Its rows of the pass.
    pub len: u32,
}

/// Bytes of a slice of plain `#[repr(C)]` values without padding, to upload.
///
/// # Safety
/// `T` has no padding and no pointers.
pub unsafe fn bytes_of<T: Copy>(values: &[T]) -> &[u8] {
    // SAFETY: the caller's: every byte of the values is initialised.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}
