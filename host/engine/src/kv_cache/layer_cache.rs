//! The KV cache of one layer on the CPU.

use super::{CacheLayout, wrong_device};
use crate::{DType, Result, cpu::attention::AttentionCache};
use half::{bf16, f16};

/// The KV cache of one layer, in the layout of the CPU's kernels.
pub(crate) enum LayerCache {
    /// A cache of f32 numbers.
    F32(AttentionCache<f32>),
    /// A cache of bf16 numbers.
    Bf16(AttentionCache<bf16>),
    /// A cache of f16 numbers.
    F16(AttentionCache<f16>),
}

impl LayerCache {
    /// Reserves a cache for `capacity` tokens.
    pub(crate) fn new(layout: &CacheLayout, capacity: usize) -> Self {
        let &CacheLayout { heads, dim, dtype, .. } = layout;
        match dtype {
            DType::F32 => Self::F32(AttentionCache::new(heads, dim, capacity)),
            DType::Bf16 => Self::Bf16(AttentionCache::new(heads, dim, capacity)),
            DType::F16 => Self::F16(AttentionCache::new(heads, dim, capacity)),
        }
    }

    /// Returns the memory of the cache, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::F32(cache) => cache.bytes(),
            Self::Bf16(cache) => cache.bytes(),
            Self::F16(cache) => cache.bytes(),
        }
    }

    /// Copies the first `positions` positions of another cache of the same layer.
    pub(crate) fn copy_from(&mut self, from: &Self, positions: usize) -> Result<()> {
        match (&mut *self, from) {
            (Self::F32(to), Self::F32(from)) => to.copy_from(from, positions),
            (Self::Bf16(to), Self::Bf16(from)) => to.copy_from(from, positions),
            (Self::F16(to), Self::F16(from)) => to.copy_from(from, positions),
            _ => return Err(wrong_device()),
        }
        Ok(())
    }
}

/// Access to a layer's cache whose numbers are of the type `T`.
pub(crate) trait TypedCache<T> {
    /// Returns the cache for writing, or an error if its numbers are of another type.
    fn cache_mut(&mut self) -> Result<&mut AttentionCache<T>>;
    /// Returns the cache for reading, or an error if its numbers are of another type.
    fn cache(&self) -> Result<&AttentionCache<T>>;
}

macro_rules! typed_cache {
    ($number:ty, $variant:ident) => {
        impl TypedCache<$number> for LayerCache {
            fn cache_mut(&mut self) -> Result<&mut AttentionCache<$number>> {
                if let Self::$variant(cache) = self { Ok(cache) } else { Err(wrong_device()) }
            }
            fn cache(&self) -> Result<&AttentionCache<$number>> {
                if let Self::$variant(cache) = self { Ok(cache) } else { Err(wrong_device()) }
            }
        }
    };
}

typed_cache!(f32, F32);
typed_cache!(bf16, Bf16);
typed_cache!(f16, F16);
