//! Keys and values of one sequence, reserved before the first token and written in place.

mod pool;

pub use pool::CachePool;

use crate::{
    DType, Error, Result,
    cpu::attention::{Cache, KEY_BLOCK},
    gpu::Place,
    memory::{self, Held},
};
use half::{bf16, f16};
use llem_compute::Buffer;
use std::sync::Arc;

/// What a rank keeps of a token.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Its layers.
    pub layers: usize,
    /// Its key and value heads.
    pub heads: usize,
    /// Width of a head.
    pub dim: usize,
    /// Number format.
    pub dtype: DType,
    /// Where.
    pub place: Place,
    /// Ranks that reserve as much of the same memory at the same time.
    pub sharing: usize,
}

impl Layout {
    /// Bytes of keys and values of one token, as they are kept: on the CPU values are padded to whole vectors. Layers
    /// with a window count as others do, for their caches keep every token.
    pub fn bytes_per_token(&self) -> usize {
        let &Self { layers, heads, dim, dtype, ref place, .. } = self;
        let of_layer = match dtype {
            _ if !place.is_host() => 2 * heads * dim * dtype.size(),
            DType::F32 => Cache::<f32>::bytes_per_position(heads, dim),
            DType::Bf16 => Cache::<bf16>::bytes_per_position(heads, dim),
            DType::F16 => Cache::<f16>::bytes_per_position(heads, dim),
        };
        layers * of_layer
    }

    /// Bytes that are free where it is; none where that is not known.
    pub fn available(&self) -> Option<usize> {
        match self.place.gpu() {
            Some(gpu) if gpu.device.is_real() => Some(gpu.device.memory().ok()?.free),
            _ => memory::available(),
        }
    }

    /// Bytes that a cache with room for `capacity` tokens takes, what is noted of it included; as many as there are
    /// numbers for where that is more.
    pub fn bytes_of(&self, capacity: usize) -> usize {
        let rounded = match self.place.is_host() {
            true => capacity.checked_next_multiple_of(KEY_BLOCK).unwrap_or(usize::MAX),
            false => capacity,
        };
        let noted = size_of::<KvCache>() + self.layers * size_of::<LayerCache>();
        self.bytes_per_token().saturating_mul(rounded).saturating_add(noted)
    }
}

/// One layer's part in the CPU's memory, as its kernels want it.
pub enum LayerCache {
    /// f32.
    F32(Cache<f32>),
    /// bf16.
    Bf16(Cache<bf16>),
    /// f16.
    F16(Cache<f16>),
}

impl LayerCache {
    fn new(layout: &Layout, capacity: usize) -> Self {
        let &Layout { heads, dim, dtype, .. } = layout;
        match dtype {
            DType::F32 => Self::F32(Cache::new(heads, dim, capacity)),
            DType::Bf16 => Self::Bf16(Cache::new(heads, dim, capacity)),
            DType::F16 => Self::F16(Cache::new(heads, dim, capacity)),
        }
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        match self {
            Self::F32(cache) => cache.bytes(),
            Self::Bf16(cache) => cache.bytes(),
            Self::F16(cache) => cache.bytes(),
        }
    }

    /// Takes over the first `positions` of a cache of the same layer.
    fn copy_from(&mut self, from: &Self, positions: usize) -> Result<()> {
        match (&mut *self, from) {
            (Self::F32(to), Self::F32(from)) => to.copy_from(from, positions),
            (Self::Bf16(to), Self::Bf16(from)) => to.copy_from(from, positions),
            (Self::F16(to), Self::F16(from)) => to.copy_from(from, positions),
            _ => return Err(elsewhere()),
        }
        Ok(())
    }
}

fn elsewhere() -> Error {
    Error::Bug("the KV cache is not where its layer is".to_owned())
}

/// A layer's cache as the kernels want it.
pub trait AsHost<T> {
    /// To write to.
    fn host(&mut self) -> Result<&mut Cache<T>>;
    /// To read from.
    fn shared(&self) -> Result<&Cache<T>>;
}

macro_rules! as_host {
    ($number:ty, $variant:ident) => {
        impl AsHost<$number> for LayerCache {
            fn host(&mut self) -> Result<&mut Cache<$number>> {
                if let Self::$variant(cache) = self { Ok(cache) } else { Err(elsewhere()) }
            }
            fn shared(&self) -> Result<&Cache<$number>> {
                if let Self::$variant(cache) = self { Ok(cache) } else { Err(elsewhere()) }
            }
        }
    };
}

as_host!(f32, F32);
as_host!(bf16, Bf16);
as_host!(f16, F16);

/// A rank's layers of one sequence: room for tokens, whoever knows how many it holds.
pub struct KvCache {
    memory: Memory,
    capacity: usize,
    /// Its part of the machine's memory.
    _held: Held,
}

/// Where a cache lies.
enum Memory {
    /// By layer, on the CPU.
    Host(Vec<LayerCache>),
    /// On a device: from the byte `start` of memory that caches share, `[layers, 2, kv_heads, capacity, head_dim]`, keys before
    /// values.
    Device { buffer: Arc<Buffer>, start: usize, layout: Layout },
}

impl KvCache {
    /// Reserves room for `capacity` tokens.
    pub fn new(layout: &Layout, capacity: usize) -> Result<Self> {
        let mut one = Self::several(layout, 1, capacity)?;
        one.pop().ok_or_else(elsewhere)
    }

    /// Reserves `count` times room for `capacity` tokens; on a device in one piece.
    pub fn several(layout: &Layout, count: usize, capacity: usize) -> Result<Vec<Self>> {
        let is_held = layout.place.is_in_machine();
        let held = || Held::new(if is_held { layout.bytes_of(capacity) } else { 0 });
        let Some(gpu) = layout.place.gpu() else {
            let host = || (0..layout.layers).map(|_| LayerCache::new(layout, capacity)).collect();
            let cache = |_| Self { memory: Memory::Host(host()), capacity, _held: held() };
            return Ok((0..count).map(cache).collect());
        };
        let bytes = (layout.bytes_per_token() * capacity).next_multiple_of(256);
        let buffer = Arc::new(Buffer::zeros(&gpu.device, bytes * count)?);
        let cache = |index: usize| {
            let (buffer, layout) = (Arc::clone(&buffer), layout.clone());
            let memory = Memory::Device { buffer, start: index * bytes, layout };
            Self { memory, capacity, _held: held() }
        };
        Ok((0..count).map(cache).collect())
    }

    /// A layer's part on the CPU.
    pub fn layer(&mut self, index: usize) -> Result<&mut LayerCache> {
        match &mut self.memory {
            Memory::Host(layers) => layers.get_mut(index).ok_or_else(elsewhere),
            Memory::Device { .. } => Err(elsewhere()),
        }
    }

    /// Where it is on a device.
    pub fn address(&self) -> Option<u64> {
        match &self.memory {
            Memory::Host(_) => None,
            Memory::Device { buffer, start, .. } => Some(buffer.view().address + *start as u64),
        }
    }

    /// Tokens that it has room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Takes over the first `tokens` of another cache of the same layers.
    ///
    /// # Errors
    /// [`Error::Bug`] if either has no room for so many.
    pub fn copy_from(&mut self, from: &Self, tokens: usize) -> Result<()> {
        if tokens > self.capacity.min(from.capacity) {
            return Err(Error::Bug(format!(
                "{tokens} tokens are copied between KV caches that are smaller"
            )));
        }
        match (&mut self.memory, &from.memory) {
            (Memory::Host(to), Memory::Host(from)) => {
                let layers = to.iter_mut().zip(from);
                layers.into_iter().try_for_each(|(to, from)| to.copy_from(from, tokens))
            }
            (
                Memory::Device { buffer: to, start: to_start, layout },
                Memory::Device { buffer: other, start: other_start, .. },
            ) => {
                // Keys and values of a head lie together, a head's after another's.
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
            _ => Err(elsewhere()),
        }
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        match &self.memory {
            Memory::Host(layers) => layers.iter().map(LayerCache::bytes).sum(),
            Memory::Device { layout, .. } => layout.bytes_per_token() * self.capacity,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::Device;

    const LAYERS: usize = 2;
    const HEADS: usize = 2;
    const DIM: usize = 3;

    /// A cache with room for `capacity` tokens and numbers that say where they are.
    fn cache(layout: &Layout, capacity: usize, sign: f32) -> KvCache {
        let cache = KvCache::new(layout, capacity).unwrap();
        let count = LAYERS * 2 * HEADS * capacity * DIM;
        let bytes: Vec<u8> =
            (0..count).flat_map(|index| (sign * index as f32).to_ne_bytes()).collect();
        layout.place.gpu().unwrap().device.upload(&bytes, cache.address().unwrap()).unwrap();
        cache
    }

    fn numbers(layout: &Layout, cache: &KvCache) -> Vec<f32> {
        let mut bytes = vec![0u8; LAYERS * 2 * HEADS * cache.capacity() * DIM * 4];
        let device = &layout.place.gpu().unwrap().device;
        device.download(cache.address().unwrap(), &mut bytes).unwrap();
        bytes.as_chunks().0.iter().map(|&bytes| f32::from_ne_bytes(bytes)).collect()
    }

    #[test]
    fn a_copy_on_a_device_takes_the_first_tokens_of_every_head_and_no_other() {
        let place = Device::Emulated.open(DType::F32, DType::F32, 4).unwrap();
        let dtype = DType::F32;
        let layout = Layout { layers: LAYERS, heads: HEADS, dim: DIM, dtype, place, sharing: 1 };
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
