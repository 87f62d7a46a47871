//! Random numbers that are the same on every machine.
//!
//! A call that returns many numbers returns the same ones as single calls would, and leaves the stream at the same
//! position.

use crate::error::Refusal;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// A stream of random numbers. Streams are named, and each seed has its own streams.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct RandomStream(ChaCha8Rng);

impl RandomStream {
    /// Creates the stream of this name. Its number in ChaCha8 is the first eight bytes of the name's SHA-256, most
    /// significant byte first.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let name = Sha256::digest(name.as_bytes());
        let number = name.iter().take(8).fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(number);
        Self(random)
    }

    /// Returns the next 64 random bits.
    pub(crate) fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Returns the next number from 0 (included) to 1 (excluded), which is a multiple of 2^-53.
    pub(crate) fn next_f64(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Returns the next number from 0 (included) to `bound` (excluded), each equally likely. It is the upper half of
    /// the product of `bound` and 64 random bits. The bits are drawn again if the lower half shows that some results
    /// would be more likely (Lemire 2019, "Fast Random Integer Generation in an UsageInterval", algorithm 5).
    fn next_below(&mut self, bound: u32) -> u32 {
        let bound = u64::from(bound);
        // 2^64 modulo the bound: the number of products that would favour some results.
        let surplus = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= surplus {
                return (product >> 64) as u32;
            }
        }
    }

    /// Returns the next `count` results of [`Self::next_u64`].
    ///
    /// # Errors
    /// Fails if they take more than `most` bytes.
    pub(crate) fn fill_u64(&mut self, count: u64, most: usize) -> Result<Vec<u64>, Refusal> {
        self.fill(count, most, Self::next_u64)
    }

    /// Returns the next `count` results of [`Self::next_f64`].
    ///
    /// # Errors
    /// Fails if they take more than `most` bytes.
    pub(crate) fn fill_f64(&mut self, count: u64, most: usize) -> Result<Vec<f64>, Refusal> {
        self.fill(count, most, Self::next_f64)
    }

    /// Returns `count` token ids from 0 (included) to `vocabulary` (excluded), each equally likely. Each takes one
    /// result of [`Self::next_u64`], or more with a probability below `vocabulary` / 2^64.
    ///
    /// # Errors
    /// Fails if they take more than `most` bytes, or if `vocabulary` is 0.
    pub(crate) fn tokens(
        &mut self,
        count: u64,
        vocabulary: u32,
        most: usize,
    ) -> Result<Vec<u32>, Refusal> {
        if vocabulary == 0 {
            return Err(Refusal::InvalidArgument(
                "a vocabulary of 0 tokens has none to draw: give the model's vocab-size".to_owned(),
            ));
        }
        self.fill(count, most, |stream| stream.next_below(vocabulary))
    }

    fn fill<T>(
        &mut self,
        count: u64,
        most: usize,
        mut next: impl FnMut(&mut Self) -> T,
    ) -> Result<Vec<T>, Refusal> {
        let most = most / size_of::<T>();
        match usize::try_from(count).ok().filter(|&count| count <= most) {
            Some(count) => Ok((0..count).map(|_| next(self)).collect()),
            None => Err(Refusal::LimitReached(format!(
                "{count} random numbers are more than the {most} that one call may give: ask for fewer at a time, or raise --max-call"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1 << 20;

    #[test]
    fn many_at_once_are_those_of_single_calls() {
        let (mut one, mut many) = (RandomStream::new(7, "a"), RandomStream::new(7, "a"));
        let singles: Vec<u64> = (0..1_000).map(|_| one.next_u64()).collect();
        assert_eq!(many.fill_u64(1_000, MOST).expect("filled"), singles);
        let singles: Vec<f64> = (0..1_000).map(|_| one.next_f64()).collect();
        assert_eq!(many.fill_f64(1_000, MOST).expect("filled"), singles);
        // A rejection has a probability below 2^-47 for each token, and does not occur here.
        let singles: Vec<u32> =
            (0..1_000).map(|_| ((u128::from(one.next_u64()) * 128_256) >> 64) as u32).collect();
        assert_eq!(many.tokens(1_000, 128_256, MOST).expect("drawn"), singles);
        assert_eq!(many.next_u64(), one.next_u64());
    }

    #[test]
    fn tokens_are_equally_likely() {
        let (count, vocabulary) = (100_000, 10);
        let tokens = RandomStream::new(0, "tokens").tokens(count, vocabulary, MOST).expect("drawn");
        let mut counts = [0u32; 10];
        tokens.iter().for_each(|&token| counts[token as usize] += 1);
        let expected = count as f64 / f64::from(vocabulary);
        let deviations = counts.map(|count| (f64::from(count) - expected).powi(2) / expected);
        // Chi-squared with 9 degrees of freedom exceeds this value once in a thousand cases.
        assert!(deviations.iter().sum::<f64>() < 27.88, "{counts:?}");
    }

    #[test]
    fn what_one_call_cannot_give_is_refused() {
        let mut stream = RandomStream::new(0, "");
        assert!(stream.fill_u64(8, 64).is_ok());
        for count in [9, u64::MAX] {
            assert!(matches!(stream.fill_u64(count, 64), Err(Refusal::LimitReached(_))), "{count}");
        }
        assert!(stream.tokens(16, 2, 64).is_ok());
        assert!(matches!(stream.tokens(17, 2, 64), Err(Refusal::LimitReached(_))));
        assert!(matches!(stream.tokens(1, 0, 64), Err(Refusal::InvalidArgument(_))));
        assert_eq!(stream.tokens(3, 1, 64).expect("drawn"), [0, 0, 0]);
    }
}
