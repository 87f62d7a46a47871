//! The sizes of a KV cache, from which its memory is computed.

use super::{KvCache, LayerCache};
use crate::{
    DType,
    cpu::attention::{AttentionCache, KEY_BLOCK},
    gpu::Backend,
    memory,
};
use half::{bf16, f16};

/// The sizes and the place of a rank's KV caches.
#[derive(Clone, Debug)]
pub(crate) struct CacheLayout {
    /// The number of this rank's layers.
    pub layers: usize,
    /// The number of this rank's key and value heads.
    pub heads: usize,
    /// The width of a head.
    pub dim: usize,
    /// The number format of keys and values.
    pub dtype: DType,
    /// The backend whose memory the caches take.
    pub backend: Backend,
    /// The number of ranks that reserve caches of the same size in the same memory at the same time.
    pub sharing: usize,
}

impl CacheLayout {
    /// Returns the bytes of the keys and values of one token. On the CPU values are padded to whole vectors. Layers
    /// with a window count like all others, because their caches keep every token.
    pub(crate) fn bytes_per_token(&self) -> usize {
        let &Self { layers, heads, dim, dtype, ref backend, .. } = self;
        let of_layer = match dtype {
            _ if !backend.is_cpu() => 2 * heads * dim * dtype.size(),
            DType::F32 => AttentionCache::<f32>::bytes_per_position(heads, dim),
            DType::Bf16 => AttentionCache::<bf16>::bytes_per_position(heads, dim),
            DType::F16 => AttentionCache::<f16>::bytes_per_position(heads, dim),
        };
        layers * of_layer
    }

    /// Returns the free bytes of the backend's memory, or `None` if they are not known.
    pub(crate) fn available(&self) -> Option<usize> {
        match self.backend.gpu() {
            Some(gpu) if gpu.device.is_real() => Some(gpu.device.memory().ok()?.free),
            _ => memory::available(),
        }
    }

    /// Returns the bytes of a cache for `capacity` tokens, with the structs that describe it. The result is
    /// `usize::MAX` if it does not fit.
    pub(crate) fn bytes_of(&self, capacity: usize) -> usize {
        let rounded = match self.backend.is_cpu() {
            true => capacity.checked_next_multiple_of(KEY_BLOCK).unwrap_or(usize::MAX),
            false => capacity,
        };
        let noted = size_of::<KvCache>() + self.layers * size_of::<LayerCache>();
        self.bytes_per_token().saturating_mul(rounded).saturating_add(noted)
    }
}
