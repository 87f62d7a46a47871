//! A number with its standard uncertainty, without a unit or a source.

/// The number of recent intervals from which the variation of power is estimated.
pub(crate) const RECENT: usize = 8;

/// A number with its standard uncertainty. The unit is the caller's to know; a published number is a
/// [`llem_quantity::Quantity`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UncertainValue {
    /// The estimate, in the unit that the context gives.
    pub value: f64,
    /// One standard deviation, in the unit of the value.
    pub uncertainty: f64,
}

impl UncertainValue {
    /// Estimates the power of the next interval from the mean powers of consecutive intervals, W, the nearest first. The
    /// uncertainty is the root mean square of the changes from one interval to the next. Returns `None` for an empty list.
    pub(crate) fn from_powers(powers: &[f64]) -> Option<Self> {
        let value = *powers.first()?;
        let changes: f64 = powers.windows(2).map(|pair| (pair[0] - pair[1]).powi(2)).sum();
        let uncertainty = match powers.len() {
            // One interval does not show how much power varies: it may be anything from zero to twice as much.
            1 => value / 3f64.sqrt(),
            count => (changes / (count - 1) as f64).sqrt(),
        };
        Some(Self { value, uncertainty })
    }
}
