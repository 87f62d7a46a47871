//! Random numbers that are the same on every machine.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// A stream of a seed.
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream of this name: ChaCha8's of the number that the first eight bytes of the name's SHA-256 are, most
    /// significant first.
    pub fn new(seed: u64, name: &str) -> Self {
        let name = Sha256::digest(name.as_bytes());
        let number = name.iter().take(8).fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(number);
        Self(random)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// The next number from 0 (included) to 1 (excluded), a multiple of 2^-53.
    pub fn next_f64(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// So many numbers, as [`Self::next_u64`] gives them.
    pub fn fill_u64(&mut self, count: usize) -> Vec<u64> {
        (0..count).map(|_| self.next_u64()).collect()
    }

    /// So many numbers, as [`Self::next_f64`] gives them.
    pub fn fill_f64(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.next_f64()).collect()
    }
}
