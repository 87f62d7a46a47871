//! Seeded random numbers that are the same on every machine.

use crate::{Result, bindings::inputs};

/// A named stream of random numbers (ChaCha8) from the run's seed. The same name and seed give the same numbers on
/// every machine.
#[derive(Debug)]
pub struct Random(inputs::Random);

impl Random {
    /// Opens the stream of this name at its beginning.
    pub fn new(name: &str) -> Self {
        Self(inputs::Random::new(name))
    }

    /// Returns the next number, uniform over all values of a `u64`.
    pub fn next_u64(&self) -> u64 {
        self.0.next_u64()
    }

    /// Returns the next number, uniform in [0, 1), with 53 random bits.
    pub fn next_f64(&self) -> f64 {
        self.0.next_f64()
    }

    /// Returns the results of `count` calls of [`Self::next_u64`], in one call of the host.
    pub fn many_u64(&self, count: u32) -> Result<Vec<u64>> {
        Ok(self.0.many_u64(count)?)
    }

    /// Returns the results of `count` calls of [`Self::next_f64`], in one call of the host.
    pub fn many_f64(&self, count: u32) -> Result<Vec<f64>> {
        Ok(self.0.many_f64(count)?)
    }

    /// Returns `count` token ids below `vocabulary`, each with the same probability.
    pub fn tokens(&self, count: u32, vocabulary: u32) -> Result<Vec<u32>> {
        Ok(self.0.tokens(count, vocabulary)?)
    }
}

/// A source of uniform random numbers: the host's [`Random`], or another one in tests without a host.
pub trait UniformSource {
    /// Returns the next number, uniform in [0, 1).
    fn next_uniform(&mut self) -> f64;
}

impl UniformSource for Random {
    fn next_uniform(&mut self) -> f64 {
        self.next_f64()
    }
}
