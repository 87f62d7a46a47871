//! The keys and values of sequences. Their memory is reserved before the first token.
//!
//! ```text
//! CachePool ──► KvCache, one a sequence ──► LayerCache, one a layer (CPU), or one range of a buffer (device)
//! ```
//!
//! Start at [`KvCache`] and [`CachePool`].

mod cache_layout;
mod cache_pool;
mod layer_cache;

pub(crate) use cache_layout::CacheLayout;
pub(crate) use cache_pool::CachePool;
pub(crate) use layer_cache::{LayerCache, TypedCache};

use crate::{Error, Result, memory::MemoryReservation};
use llem_compute::Buffer;
use std::sync::Arc;

/// The keys and values of one sequence in this rank's layers. The cache has room for a number of tokens. Its user
/// knows how many of them it has.
pub(crate) struct KvCache {
    memory: CacheMemory,
    capacity: usize,
    /// This cache's part of the machine's memory, for the process's account of it.
    _held: MemoryReservation,
}

/// The memory of a cache.
enum CacheMemory {
    /// One cache for each layer, on the CPU.
    Cpu(Vec<LayerCache>),
    /// A part of a buffer on a device that several caches share. It begins at the byte `start` and is
    /// `[layers, 2, kv_heads, capacity, head_dim]`, with keys before values.
    DeviceId { buffer: Arc<Buffer>, start: usize, layout: CacheLayout },
}

impl KvCache {
    /// Reserves a cache for `capacity` tokens.
    pub(crate) fn new(layout: &CacheLayout, capacity: usize) -> Result<Self> {
        let mut one = Self::with_count(layout, 1, capacity)?;
        one.pop().ok_or_else(wrong_device)
    }

    /// Reserves `count` caches for `capacity` tokens each. On a device they share one buffer.
    pub(crate) fn with_count(
        layout: &CacheLayout,
        count: usize,
        capacity: usize,
    ) -> Result<Vec<Self>> {
        let is_held = layout.backend.is_in_system_memory();
        let held = || MemoryReservation::new(if is_held { layout.bytes_of(capacity) } else { 0 });
        let Some(gpu) = layout.backend.gpu() else {
            let host = || (0..layout.layers).map(|_| LayerCache::new(layout, capacity)).collect();
            let cache = |_| Self { memory: CacheMemory::Cpu(host()), capacity, _held: held() };
            return Ok((0..count).map(cache).collect());
        };
        let bytes = (layout.bytes_per_token() * capacity).next_multiple_of(256);
        let buffer = Arc::new(Buffer::zeros(&gpu.device, bytes * count)?);
        let cache = |index: usize| {
            let (buffer, layout) = (Arc::clone(&buffer), layout.clone());
            let memory = CacheMemory::DeviceId { buffer, start: index * bytes, layout };
            Self { memory, capacity, _held: held() }
        };
        Ok((0..count).map(cache).collect())
    }

    /// Returns the cache of one layer. It must be on the CPU.
    pub(crate) fn layer(&mut self, index: usize) -> Result<&mut LayerCache> {
        match &mut self.memory {
            CacheMemory::Cpu(layers) => layers.get_mut(index).ok_or_else(wrong_device),
            CacheMemory::DeviceId { .. } => Err(wrong_device()),
        }
    }

    /// Returns the address on the device, or `None` on the CPU.
    pub(crate) fn address(&self) -> Option<u64> {
        match &self.memory {
            CacheMemory::Cpu(_) => None,
            CacheMemory::DeviceId { buffer, start, .. } => {
                Some(buffer.view().address + *start as u64)
            }
        }
    }

    /// Returns the number of tokens that the cache has room for.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Copies the first `tokens` tokens of another cache of the same layers.
    ///
    /// # Errors
    /// Returns [`Error::Bug`] if one of the caches has no room for so many tokens.
    pub(crate) fn copy_from(&mut self, from: &Self, tokens: usize) -> Result<()> {
        if tokens > self.capacity.min(from.capacity) {
            return Err(Error::Bug(format!(
                "{tokens} tokens are copied between KV caches that are smaller"
            )));
        }
        match (&mut self.memory, &from.memory) {
            (CacheMemory::Cpu(to), CacheMemory::Cpu(from)) => {
                let layers = to.iter_mut().zip(from);
                layers.into_iter().try_for_each(|(to, from)| to.copy_from(from, tokens))
            }
            (
                CacheMemory::DeviceId { buffer: to, start: to_start, layout },
                CacheMemory::DeviceId { buffer: other, start: other_start, .. },
            ) => {
                // The keys, or the values, of a head are contiguous. One head follows another.
                let row = layout.dim * layout.dtype.size();
                for part in 0..layout.layers * 2 * layout.heads {
                    let target =
                        to.view().part(*to_start + part * self.capacity * row, tokens * row)?;
                    let source = other
                        .view()
                        .part(*other_start + part * from.capacity * row, tokens * row)?;
                    to.device().copy(source.address, target.address, tokens * row)?;
                }
                Ok(())
            }
            _ => Err(wrong_device()),
        }
    }

    /// Returns the memory of the cache, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        match &self.memory {
            CacheMemory::Cpu(layers) => layers.iter().map(LayerCache::bytes).sum(),
            CacheMemory::DeviceId { layout, .. } => layout.bytes_per_token() * self.capacity,
        }
    }
}

fn wrong_device() -> Error {
    Error::Bug("the KV cache is not where its layer is".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::{DType, DeviceId};

    const LAYERS: usize = 2;
    const HEADS: usize = 2;
    const DIM: usize = 3;

    /// Makes a cache whose numbers tell their positions.
    fn cache(layout: &CacheLayout, capacity: usize, sign: f32) -> KvCache {
        let cache = KvCache::new(layout, capacity).unwrap();
        let count = LAYERS * 2 * HEADS * capacity * DIM;
        let bytes: Vec<u8> =
            (0..count).flat_map(|index| (sign * index as f32).to_ne_bytes()).collect();
        layout.backend.gpu().unwrap().device.upload(&bytes, cache.address().unwrap()).unwrap();
        cache
    }

    fn numbers(layout: &CacheLayout, cache: &KvCache) -> Vec<f32> {
        let mut bytes = vec![0u8; LAYERS * 2 * HEADS * cache.capacity() * DIM * 4];
        let device = &layout.backend.gpu().unwrap().device;
        device.download(cache.address().unwrap(), &mut bytes).unwrap();
        bytes.as_chunks().0.iter().map(|&bytes| f32::from_ne_bytes(bytes)).collect()
    }

    #[test]
    fn a_copy_on_a_device_takes_the_first_tokens_of_every_head_and_no_other() {
        let backend = DeviceId::Emulated.open(DType::F32, DType::F32, 4).unwrap();
        let dtype = DType::F32;
        let layout =
            CacheLayout { layers: LAYERS, heads: HEADS, dim: DIM, dtype, backend, sharing: 1 };
        let (mut to, from) = (cache(&layout, 7, -1.0), cache(&layout, 9, 1.0));
        let (before, source) = (numbers(&layout, &to), numbers(&layout, &from));
        to.copy_from(&from, 4).unwrap();
        let after = numbers(&layout, &to);
        for part in 0..LAYERS * 2 * HEADS {
            for position in 0..7 {
                let own = (part * 7 + position) * DIM..(part * 7 + position + 1) * DIM;
                let other = (part * 9 + position) * DIM..(part * 9 + position + 1) * DIM;
                let expected = if position < 4 { &source[other] } else { &before[own.clone()] };
                assert_eq!(&after[own], expected);
            }
        }
        assert_eq!(numbers(&layout, &from), source);
        assert!(to.copy_from(&from, 8).is_err());
    }
}
