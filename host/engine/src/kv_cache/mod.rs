//! Keys and values of one sequence, reserved before the first token and written in place.

mod pool;

pub use pool::CachePool;

use crate::{
    DType, Error, Result,
    kernels::attention::{Cache, KEY_BLOCK},
    layers::host,
    memory::Held,
};
use candle_core::{Device, Tensor};
use half::{bf16, f16};

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
    pub device: Device,
    /// Ranks that reserve as much of the same memory at the same time.
    pub sharing: usize,
}

impl Layout {
    /// Bytes of keys and values of one token, as they are kept: on the CPU values are padded to whole vectors. Layers
    /// with a window count as others do, for their caches keep every token.
    pub fn bytes_per_token(&self) -> usize {
        let &Self { layers, heads, dim, dtype, ref device, .. } = self;
        let of_layer = match dtype {
            _ if !host::computes(device) => 2 * heads * dim * dtype.size(),
            DType::F32 => Cache::<f32>::bytes_per_position(heads, dim),
            DType::Bf16 => Cache::<bf16>::bytes_per_position(heads, dim),
            DType::F16 => Cache::<f16>::bytes_per_position(heads, dim),
        };
        layers * of_layer
    }

    /// Bytes that a cache with room for `capacity` tokens takes, what is noted of it included; as many as there are
    /// numbers for where that is more.
    pub fn bytes_of(&self, capacity: usize) -> usize {
        let rounded = match host::computes(&self.device) {
            true => capacity.checked_next_multiple_of(KEY_BLOCK).unwrap_or(usize::MAX),
            false => capacity,
        };
        let noted = size_of::<KvCache>() + self.layers * size_of::<LayerCache>();
        self.bytes_per_token().saturating_mul(rounded).saturating_add(noted)
    }
}

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
    fn new(layout: &Layout, capacity: usize) -> Result<Self> {
        let &Layout { heads, dim, dtype, ref device, .. } = layout;
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
        keys.slice_set(&new_keys.to_dtype(keys.dtype())?, 1, past)?;
        values.slice_set(&new_values.to_dtype(values.dtype())?, 1, past)?;
        Ok(())
    }

    /// Takes over the first `positions` of a cache of the same layer.
    fn copy_from(&mut self, from: &Self, positions: usize) -> Result<()> {
        match (&mut *self, from) {
            (Self::F32(to), Self::F32(from)) => to.copy_from(from, positions),
            (Self::Bf16(to), Self::Bf16(from)) => to.copy_from(from, positions),
            (Self::F16(to), Self::F16(from)) => to.copy_from(from, positions),
            _ => {
                let (keys, values) = from.read(0, positions)?;
                self.write(&keys.contiguous()?, &values.contiguous()?, 0)?;
            }
        }
        Ok(())
    }

    /// Positions `start..start + len`, `[kv_heads, len, head_dim]` each, on a device, as they are kept and without a
    /// copy.
    pub fn read(&self, start: usize, len: usize) -> Result<(Tensor, Tensor)> {
        let Self::Device { keys, values } = self else { return Err(elsewhere()) };
        Ok((keys.narrow(1, start, len)?, values.narrow(1, start, len)?))
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
    pub(crate) layers: Vec<LayerCache>,
    capacity: usize,
    /// Its part of the machine's memory.
    _held: Held,
}

impl KvCache {
    /// Reserves room for `capacity` tokens.
    pub fn new(layout: &Layout, capacity: usize) -> Result<Self> {
        let layers =
            (0..layout.layers).map(|_| LayerCache::new(layout, capacity)).collect::<Result<_>>()?;
        let held = if layout.device.is_cpu() { layout.bytes_of(capacity) } else { 0 };
        Ok(Self { layers, capacity, _held: Held::new(held) })
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
        let layers = self.layers.iter_mut().zip(&from.layers);
        layers.into_iter().try_for_each(|(to, from)| to.copy_from(from, tokens))
    }

    /// Bytes it holds.
    pub fn bytes(&self) -> usize {
        self.layers.iter().map(LayerCache::bytes).sum()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;

    /// What a device keeps, on the CPU: numbers that say where they are, and others.
    fn cache(capacity: usize, sign: f32) -> KvCache {
        let layer = |layer: usize| {
            let numbers = 0..2 * capacity * 3;
            let numbers = numbers.map(|index| sign * (index + 1000 * layer) as f32);
            let keys = Tensor::from_iter(numbers, &Device::Cpu).unwrap();
            let keys = keys.reshape((2, capacity, 3)).unwrap();
            LayerCache::Device { values: (&keys + 0.5).unwrap(), keys }
        };
        KvCache { layers: (0..2).map(layer).collect(), capacity, _held: Held::new(0) }
    }

    /// Of each layer, keys and values by head, position and dimension.
    fn numbers(cache: &KvCache) -> Vec<[Vec<Vec<Vec<f32>>>; 2]> {
        let layers = cache.layers.iter().map(|layer| match layer {
            LayerCache::Device { keys, values } => {
                [keys.to_vec3().unwrap(), values.to_vec3().unwrap()]
            }
            _ => panic!("it is kept as a device keeps it"),
        });
        layers.collect()
    }

    #[test]
    fn a_copy_on_a_device_takes_the_first_tokens_of_every_head_and_no_other() {
        let (mut to, from) = (cache(7, -1.0), cache(7, 1.0));
        let (before, source) = (numbers(&to), numbers(&from));
        to.copy_from(&from, 4).unwrap();
        for (layer, after) in numbers(&to).iter().enumerate() {
            for (which, head, position) in
                (0..2).flat_map(|x| (0..2).flat_map(move |y| (0..7).map(move |z| (x, y, z))))
            {
                let expected = if position < 4 { &source } else { &before };
                let expected = &expected[layer][which][head][position];
                assert_eq!(&after[which][head][position], expected);
            }
        }
        assert_eq!(numbers(&from), source);
        assert!(to.copy_from(&from, 8).is_err());
    }
}
