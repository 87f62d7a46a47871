//! Keys and values of one sequence, reserved before the first token and written in place.

use crate::{
    DType, Error, Result, families::Shape, kernels::attention::Cache, layers::host, memory,
};
use candle_core::{Device, Tensor};
use half::{bf16, f16};

/// One layer's part: in the CPU's memory as its kernels want it, or on a device.
pub enum LayerCache {
    /// f32, on the CPU.
    F32(Cache<f32>),
    /// bf16, on the CPU.
    Bf16(Cache<bf16>),
    /// f16, on the CPU.
    F16(Cache<f16>),
    /// Both `[kv_heads, capacity, head_dim]`.
    Device {
        /// Keys.
        keys: Tensor,
        /// Values.
        values: Tensor,
    },
}

impl LayerCache {
    fn new(shape: &Shape, capacity: usize, dtype: DType, device: &Device) -> Result<Self> {
        let (heads, dim) = (shape.kv_heads, shape.head_dim);
        if host::computes(device) {
            return Ok(match dtype {
                DType::F32 => Self::F32(Cache::new(heads, dim, capacity)),
                DType::Bf16 => Self::Bf16(Cache::new(heads, dim, capacity)),
                DType::F16 => Self::F16(Cache::new(heads, dim, capacity)),
            });
        }
        let zeros = || Tensor::zeros((heads, capacity, dim), dtype.candle(), device);
        Ok(Self::Device { keys: zeros()?, values: zeros()? })
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        match self {
            Self::F32(cache) => cache.bytes(),
            Self::Bf16(cache) => cache.bytes(),
            Self::F16(cache) => cache.bytes(),
            Self::Device { keys, .. } => 2 * keys.elem_count() * keys.dtype().size_in_bytes(),
        }
    }

    /// Writes `[kv_heads, n, head_dim]` at position `past`, on a device.
    pub fn write(&mut self, new_keys: &Tensor, new_values: &Tensor, past: usize) -> Result<()> {
        let Self::Device { keys, values } = self else { return Err(elsewhere()) };
        keys.slice_set(new_keys, 1, past)?;
        values.slice_set(new_values, 1, past)?;
        Ok(())
    }

    /// Positions `start..start + len`, `[kv_heads, len, head_dim]` each, on a device, without a copy.
    pub fn read(&self, start: usize, len: usize) -> Result<(Tensor, Tensor)> {
        let Self::Device { keys, values } = self else { return Err(elsewhere()) };
        Ok((keys.narrow(1, start, len)?, values.narrow(1, start, len)?))
    }
}

fn elsewhere() -> Error {
    Error::Unsupported("the KV cache is not where its layer is".to_owned())
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

/// All layers of one sequence.
pub struct KvCache {
    pub(crate) layers: Vec<LayerCache>,
    pub(crate) len: usize,
    capacity: usize,
}

impl KvCache {
    /// Reserves room for `capacity` tokens.
    pub fn new(shape: &Shape, capacity: usize, dtype: DType, device: &Device) -> Result<Self> {
        let layers = (0..shape.layers)
            .map(|_| LayerCache::new(shape, capacity, dtype, device))
            .collect::<Result<_>>()?;
        Ok(Self { layers, len: 0, capacity })
    }

    /// Reserves `count` caches of the same room, unless the CPU has not got the memory.
    pub fn several(
        shape: &Shape,
        count: usize,
        capacity: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Vec<Self>> {
        check_memory(shape, &vec![capacity; count], dtype, device)?;
        (0..count).map(|_| Self::new(shape, capacity, dtype, device)).collect()
    }

    /// Tokens it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tokens it has room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(LayerCache::bytes).sum()
    }

    /// Forgets its tokens and keeps its memory.
    pub fn clear(&mut self) {
        self.len = 0;
    }
}

/// The caches of a batch, kept from one request to the next, so that reserving memory is not part
/// of a measured request that has been warmed up.
#[derive(Default)]
pub struct CachePool {
    caches: Vec<KvCache>,
}

impl CachePool {
    /// Empty caches with room for `capacities[i]` tokens each.
    pub fn reserve(
        &mut self,
        shape: &Shape,
        capacities: &[usize],
        dtype: DType,
        device: &Device,
    ) -> Result<&mut [KvCache]> {
        self.caches.truncate(capacities.len());
        let missing: Vec<usize> = capacities
            .iter()
            .enumerate()
            .filter(|(index, needed)| {
                self.caches.get(*index).is_none_or(|cache| cache.capacity < **needed)
            })
            .map(|(_, needed)| *needed)
            .collect();
        check_memory(shape, &missing, dtype, device)?;
        for (index, &needed) in capacities.iter().enumerate() {
            match self.caches.get_mut(index) {
                Some(cache) if cache.capacity >= needed => cache.clear(),
                Some(cache) => *cache = KvCache::new(shape, rounded(needed), dtype, device)?,
                None => self.caches.push(KvCache::new(shape, rounded(needed), dtype, device)?),
            }
        }
        Ok(&mut self.caches)
    }
}

/// In steps, so that requests of nearly one length share a reservation.
fn rounded(capacity: usize) -> usize {
    capacity.next_multiple_of(64)
}

fn check_memory(shape: &Shape, capacities: &[usize], dtype: DType, device: &Device) -> Result<()> {
    let per_token = shape.kv_bytes_per_token(dtype.size());
    let needed = capacities.iter().map(|&capacity| rounded(capacity) * per_token).sum::<usize>();
    // A request that finds its memory reserved asks nothing of the system.
    if needed == 0 || !device.is_cpu() {
        return Ok(());
    }
    let what = || format!("the KV cache of {} sequences", capacities.len());
    memory::check(needed, what, "ask for fewer sequences or tokens")
}
