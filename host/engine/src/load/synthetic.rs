//! Seeded random weights, as vLLM's dummy loader makes them. Speed, memory and energy are those of the real shape; the
//! text means nothing.

use sha2::{Digest, Sha256};

/// Standard deviation of the weights: transformers' `initializer_range`.
const DEVIATION: f32 = 0.02;

/// Weights are uniform from minus this to this: with that deviation.
pub fn half_width() -> f32 {
    DEVIATION * 3f32.sqrt()
}

/// What the numbers of a tensor are made of, besides their index.
pub fn key(seed: u64, name: &str) -> u64 {
    let key = Sha256::new_with_prefix(seed.to_le_bytes()).chain_update(name).finalize();
    key.iter().take(8).fold(0u64, |key, &byte| key << 8 | u64::from(byte))
}

/// Fills the numbers of a tensor from `start` on. Each depends only on the seed, the tensor's name
/// and its index, so that a shard can be made alone and every machine makes the same model. Uniform,
/// with the standard deviation above: what matters for speed is that no value is special.
///
/// Devices do the same: `host/compute/kernels/synthetic.cu`.
pub fn fill(key: u64, start: u64, values: &mut [f32]) {
    let half_width = half_width();
    for (index, value) in (start..).zip(values) {
        let bits = split_mix(key.wrapping_add(index));
        let unit = (bits >> 40) as f32 / (1u64 << 24) as f32;
        *value = (2.0 * unit - 1.0) * half_width;
    }
}

/// SplitMix64's output function (Steele, Lea and Flood, OOPSLA 2014) of a counter.
fn split_mix(counter: u64) -> u64 {
    let z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
