//! A number and how far it may be off.

/// Intervals whose powers tell how much power varies from one to the next.
pub const RECENT: usize = 8;

/// A number with its standard uncertainty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// One standard deviation.
    pub uncertainty: f64,
}

impl Estimate {
    /// The first of some powers, W, one interval after another: how far the next one is from it, the others tell. None of
    /// none.
    pub fn of_powers(powers: &[f64]) -> Option<Self> {
        let value = *powers.first()?;
        let changes: f64 = powers.windows(2).map(|pair| (pair[0] - pair[1]).powi(2)).sum();
        let uncertainty = match powers.len() {
            // Nothing is known of how it varies: anything from nothing to twice as much.
            1 => value / 3f64.sqrt(),
            count => (changes / (count - 1) as f64).sqrt(),
        };
        Some(Self { value, uncertainty })
    }
}
