//! Seeded random numbers that are the same on every machine.

use crate::{Result, bindings::inputs, shuffle};

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

    /// Returns `count` of the items, each drawn from all of them with the same probability. Fails with
    /// `invalid-argument` if there are no items.
    pub fn pick<T: Clone>(&self, count: u32, items: &[T]) -> Result<Vec<T>> {
        shuffle::pick(count, items, &mut Drawn(self.many_f64(count)?.into_iter()))
    }

    /// Returns `count` different whole numbers below `population`, in random order: drawn without replacement. Fails
    /// with `invalid-argument` if `population` is smaller than `count`.
    pub fn sample(&self, count: u32, population: u32) -> Result<Vec<u32>> {
        shuffle::sample(count, population, &mut Drawn(self.many_f64(count)?.into_iter()))
    }

    /// Puts the items into random order. Each order has the same probability.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        shuffle::shuffle(items, &mut &*self);
    }
}

/// Numbers that were drawn in one call of the host.
struct Drawn(std::vec::IntoIter<f64>);

impl UniformSource for Drawn {
    fn next_uniform(&mut self) -> f64 {
        self.0.next().unwrap_or(0.0)
    }
}

/// A source of uniform random numbers: the host's [`Random`], or another one in tests without a host.
pub trait UniformSource {
    /// Returns the next number, uniform in [0, 1).
    fn next_uniform(&mut self) -> f64;
}

impl UniformSource for &Random {
    fn next_uniform(&mut self) -> f64 {
        self.next_f64()
    }
}

impl UniformSource for Random {
    fn next_uniform(&mut self) -> f64 {
        self.next_f64()
    }
}
