//! The random numbers of LoadGen: `std::mt19937`, and the distributions of libstdc++ (GCC 11 or later), which LoadGen's wheels
//! are built with. The C++ standard fixes the generator. It leaves the distributions to the library, so LoadGen on another
//! library draws other numbers.

/// The Mersenne Twister of 32 bits (Matsumoto and Nishimura 1998, doi 10.1145/272991.272995).
pub(crate) struct Mt19937 {
    state: [u32; Self::SIZE],
    next: usize,
}

impl Mt19937 {
    const SIZE: usize = 624;
    const SHIFT: usize = 397;
    const MATRIX: u32 = 0x9908_b0df;

    /// Seeds the generator. As in C++, only the low 32 bits of the seed count.
    pub(crate) fn new(seed: u64) -> Self {
        let mut state = [seed as u32; Self::SIZE];
        for at in 1..Self::SIZE {
            let before = state[at - 1];
            let mixed = 1_812_433_253u32.wrapping_mul(before ^ (before >> 30));
            state[at] = mixed.wrapping_add(at as u32);
        }
        Self { state, next: Self::SIZE }
    }

    /// Returns the next number, uniform over all values of a `u32`.
    pub(crate) fn next_u32(&mut self) -> u32 {
        if self.next == Self::SIZE {
            self.twist();
        }
        let mut number = self.state[self.next];
        self.next += 1;
        number ^= number >> 11;
        number ^= (number << 7) & 0x9d2c_5680;
        number ^= (number << 15) & 0xefc6_0000;
        number ^ (number >> 18)
    }

    fn twist(&mut self) {
        for at in 0..Self::SIZE {
            let upper = self.state[at] & 0x8000_0000;
            let joined = upper | (self.state[(at + 1) % Self::SIZE] & 0x7fff_ffff);
            let odd = if joined & 1 == 1 { Self::MATRIX } else { 0 };
            self.state[at] = self.state[(at + Self::SHIFT) % Self::SIZE] ^ (joined >> 1) ^ odd;
        }
        self.next = 0;
    }

    /// Returns a whole number in [0, `count`), as `uniform_int_distribution` draws it: Lemire's method
    /// (arXiv 1805.10941), which multiplies and rejects few numbers.
    pub(crate) fn below(&mut self, count: u32) -> u32 {
        let threshold = count.wrapping_neg() % count;
        loop {
            let product = u64::from(self.next_u32()) * u64::from(count);
            if product as u32 >= threshold {
                return (product >> 32) as u32;
            }
        }
    }

    /// Returns a number from the exponential distribution of this rate. The uniform number in it has 64 random bits, of
    /// which the first draw gives the low ones (`generate_canonical`).
    pub(crate) fn exponential(&mut self, rate: f64) -> f64 {
        const DRAW: f64 = 4_294_967_296.0;
        let low = f64::from(self.next_u32());
        let uniform = (low + f64::from(self.next_u32()) * DRAW) / (DRAW * DRAW);
        // A sum that rounds up to 1 becomes the number before it.
        -(1.0 - uniform.min(1.0f64.next_down())).ln() / rate
    }

    /// Shuffles, as `std::shuffle` does: up to 65,535 items in pairs, where one draw gives two positions.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        let count = items.len();
        if count as u64 * count as u64 > u64::from(u32::MAX) {
            for at in 1..count {
                items.swap(at, self.below(at as u32 + 1) as usize);
            }
            return;
        }
        let mut at = 1;
        if count.is_multiple_of(2) && count > 0 {
            items.swap(1, self.below(2) as usize);
            at = 2;
        }
        while at < count {
            let range = at as u32 + 1;
            let both = self.below(range * (range + 1));
            items.swap(at, (both / (range + 1)) as usize);
            items.swap(at + 1, (both % (range + 1)) as usize);
            at += 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // [rand.predef] of the C++ standard: the 10000th number of a default-seeded mt19937.
    #[test]
    fn the_generator_is_the_standard_s() {
        let mut random = Mt19937::new(5489);
        let last = (0..10_000).map(|_| random.next_u32()).last();
        assert_eq!(last, Some(4_123_659_995));
    }

    // As LoadGen 6.0.17's wheel loads 20 of 30 samples with the seed of round 6.0.
    #[test]
    fn a_shuffle_is_libstdcxx_s() {
        let mut items: Vec<u32> = (0..20).collect();
        Mt19937::new(2_085_463_073_848_966_840).shuffle(&mut items);
        let expected = [1, 5, 13, 10, 11, 19, 12, 2, 15, 4, 17, 0, 14, 18, 3, 9, 16, 6, 7, 8];
        assert_eq!(items, expected);
    }

    #[test]
    fn every_length_can_be_shuffled() {
        for count in [0, 1, 2, 3, 4, 65_535, 65_536] {
            let mut items: Vec<u32> = (0..count).collect();
            Mt19937::new(1).shuffle(&mut items);
            items.sort_unstable();
            assert!(items.into_iter().eq(0..count));
        }
    }
}
