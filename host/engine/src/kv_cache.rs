//! Keys and values of one sequence, reserved before the first token and written in place.

use crate::{Result, families::Shape};
use candle_core::{DType, Device, Tensor};

/// One layer's part: both `[kv_heads, capacity, head_dim]`.
pub struct LayerCache {
    keys: Tensor,
    values: Tensor,
}

impl LayerCache {
    /// Writes `[kv_heads, n, head_dim]` at position `past`.
    pub fn write(&mut self, keys: &Tensor, values: &Tensor, past: usize) -> Result<()> {
        self.keys.slice_set(&keys.to_dtype(self.keys.dtype())?, 1, past)?;
        self.values.slice_set(&values.to_dtype(self.values.dtype())?, 1, past)?;
        Ok(())
    }

    /// The format that keys and values are kept in.
    pub fn dtype(&self) -> DType {
        self.keys.dtype()
    }

    /// The first `len` positions, `[kv_heads, len, head_dim]` each, without a copy.
    pub fn read(&self, len: usize) -> Result<(Tensor, Tensor)> {
        Ok((self.keys.narrow(1, 0, len)?, self.values.narrow(1, 0, len)?))
    }
}

/// All layers of one sequence.
pub struct KvCache {
    pub(crate) layers: Vec<LayerCache>,
    pub(crate) len: usize,
    capacity: usize,
}

impl KvCache {
    /// Reserves room for `capacity` tokens.
    pub fn new(shape: &Shape, capacity: usize, dtype: DType, device: &Device) -> Result<Self> {
        let dtype = stored_dtype(dtype, device);
        let dims = (shape.kv_heads, capacity, shape.head_dim);
        let layers = (0..shape.layers)
            .map(|_| {
                Ok(LayerCache {
                    keys: Tensor::zeros(dims, dtype, device)?,
                    values: Tensor::zeros(dims, dtype, device)?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { layers, len: 0, capacity })
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
}

/// The format that keys and values are kept in. On a CPU, bf16 values are kept widened to f32: the
/// very same numbers, for twice the memory, since candle's bf16 products are slow there.
fn stored_dtype(dtype: DType, device: &Device) -> DType {
    if device.is_cpu() && dtype == DType::BF16 { DType::F32 } else { dtype }
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
        for (index, &needed) in capacities.iter().enumerate() {
            match self.caches.get_mut(index) {
                Some(cache) if cache.capacity >= needed => cache.len = 0,
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
