//! One function for each GPU kernel. It checks sizes, chooses the grid and queues the kernel.
//!
//! Numbers have the model's format (`REAL` in the kernels' source) unless a doc says otherwise. Gains, biases, scores
//! and sums are f32. A *row* is one token of a forward pass. The rows of all sequences of the pass follow one another
//! without padding.
//!
//! The modules are public because several kernels have items of the same kind, and the module says which:
//! `norm::NormWeights`, `rope::Rotary`.
//!
//! Start at [`attention::AttentionKernels`], [`norm::NormKernels`] and [`gemv::ProductKernels`].

pub mod activation;
pub mod attention;
pub mod embedding;
pub mod experts;
pub mod gemv;
mod launch;
pub mod logits;
pub mod lora;
pub mod norm;
pub mod rope;
pub mod rows;
pub mod sampling;
pub mod synthetic;

/// The index that means "no adapter" in tables of adapters and "no expert of this rank" in tables of experts.
pub const NONE: u32 = u32::MAX;

/// One sequence of a forward pass, as kernels read it (`struct Sequence` of `kernels/sequence.h`).
///
/// Its KV cache is `[layers, 2, kv_heads, capacity, head_dim]`: for each layer all keys, then all values.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceEntry {
    /// Address of the sequence's KV cache.
    pub cache: u64,
    /// Tokens that the cache has room for.
    pub capacity: u32,
    /// Tokens that the cache holds before the pass.
    pub past: u32,
    /// Index of the sequence's first row in the pass.
    pub start: u32,
    /// Number of the sequence's rows in the pass.
    pub len: u32,
}

/// Views a slice of plain `#[repr(C)]` values as bytes, to upload them.
///
/// # Safety
/// `T` has no padding and no pointers.
pub unsafe fn bytes_of<T: Copy>(values: &[T]) -> &[u8] {
    // SAFETY: the caller promises that every byte of the values is initialised.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}
