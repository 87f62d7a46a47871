//! Seeded random weights, as vLLM's dummy loader makes them. Speed, memory and energy are as for a real model of this
//! shape, but the generated text means nothing.

use sha2::{Digest, Sha256};

/// Standard deviation of the weights, as transformers' `initializer_range`.
const DEVIATION: f32 = 0.02;

/// Returns the bound of the weights. They are uniform between minus and plus this value, and have the standard
/// deviation above.
pub(crate) fn half_width() -> f32 {
    DEVIATION * 3f32.sqrt()
}

/// Returns the key from which the numbers of a tensor are made, together with their index.
pub(crate) fn key(seed: u64, name: &str) -> u64 {
    let key = Sha256::new_with_prefix(seed.to_le_bytes()).chain_update(name).finalize();
    key.iter().take(8).fold(0u64, |key, &byte| key << 8 | u64::from(byte))
}

/// Fills `values` with the numbers of a tensor from index `start` on. Each number depends only on the seed, the
/// tensor's name and its own index. So a shard can be made alone, and every machine makes the same model. The numbers
/// are uniform with the standard deviation above. For speed it matters only that no value is special.
///
/// The GPU kernel does the same: `host/compute/kernels/synthetic.cu`.
pub(crate) fn fill(key: u64, start: u64, values: &mut [f32]) {
    let half_width = half_width();
    for (index, value) in (start..).zip(values) {
        let bits = split_mix(key.wrapping_add(index));
        let unit = (bits >> 40) as f32 / (1u64 << 24) as f32;
        *value = (2.0 * unit - 1.0) * half_width;
    }
}

/// The output function of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), applied to a counter.
pub(super) fn split_mix(counter: u64) -> u64 {
    let z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
