//! Seeded random numbers that are the same on every machine.

use crate::{Result, bindings::inputs};

/// A stream of the run's seed, by name. The same name gives the same numbers.
#[derive(Debug)]
pub struct Random(inputs::Random);

impl Random {
    /// The stream of this name.
    pub fn new(name: &str) -> Self {
        Self(inputs::Random::new(name))
    }

    /// Uniform over all values.
    pub fn next_u64(&self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in [0, 1), with 53 bits.
    pub fn next_f64(&self) -> f64 {
        self.0.next_f64()
    }

    /// As many calls of [`Self::next_u64`] as `count` says, in one call of the host.
    pub fn many_u64(&self, count: u32) -> Result<Vec<u64>> {
        Ok(self.0.many_u64(count)?)
    }

    /// As many calls of [`Self::next_f64`] as `count` says, in one call of the host.
    pub fn many_f64(&self, count: u32) -> Result<Vec<f64>> {
        Ok(self.0.many_f64(count)?)
    }

    /// Ids below `vocabulary`, each as likely as any.
    pub fn tokens(&self, count: u32, vocabulary: u32) -> Result<Vec<u32>> {
        Ok(self.0.tokens(count, vocabulary)?)
    }
}

/// Uniform random numbers: those of the host, or others where there is none.
pub trait Uniform {
    /// The next, in [0, 1).
    fn uniform(&mut self) -> f64;
}

impl Uniform for Random {
    fn uniform(&mut self) -> f64 {
        self.next_f64()
    }
}
