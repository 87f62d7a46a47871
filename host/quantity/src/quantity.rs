//! A value with its uncertainty, unit and source, and its arithmetic.

use crate::Source;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A value with its standard uncertainty, unit and source.
///
/// ```
/// use llem_quantity::{Quantity, Source};
///
/// let energy = Quantity::new(50.0, 1.0, "J", Source::NvmlCounter);
/// let tokens = Quantity::exact(20.0, "{token}", Source::Counted);
/// let each = energy.per(&tokens, "J/{token}").expect("there are tokens");
/// assert_eq!((each.value, each.uncertainty), (2.5, 0.05));
/// assert_eq!(each.to_string(), "2.500 ± 0.05000 J/token");
/// assert_eq!(each.source, Source::Derived);
/// assert!(energy.plus(&tokens).is_none(), "joules and tokens do not add");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantity {
    /// The value, in `unit`.
    pub value: f64,
    /// One standard deviation, in `unit`; 0 if the value is exact.
    pub uncertainty: f64,
    /// The unit, in UCUM's spelling if UCUM has one.
    pub unit: String,
    /// Where the value came from.
    pub source: Source,
}

impl Quantity {
    /// Creates a value with a standard uncertainty, both in `unit`.
    pub fn new(value: f64, uncertainty: f64, unit: impl Into<String>, source: Source) -> Self {
        Self { value, uncertainty: uncertainty.abs(), unit: unit.into(), source }
    }

    /// Creates a value whose uncertainty is 0.
    pub fn exact(value: f64, unit: impl Into<String>, source: Source) -> Self {
        Self::new(value, 0.0, unit, source)
    }

    /// Adds two quantities. Returns `None` if their units differ.
    ///
    /// The result keeps the source if both quantities share it. Otherwise it is `derived`, or `modelled` if one of them
    /// is modelled. Two modelled quantities share their model's error, so their uncertainties add linearly.
    pub fn plus(&self, other: &Self) -> Option<Self> {
        (self.unit == other.unit).then(|| Self {
            value: self.value + other.value,
            uncertainty: match [self.source, other.source] {
                [Source::Modelled, Source::Modelled] => self.uncertainty + other.uncertainty,
                _ => self.uncertainty.hypot(other.uncertainty),
            },
            unit: self.unit.clone(),
            source: Source::from_sum(self.source, other.source),
        })
    }

    /// Subtracts `other`. Returns `None` if the units differ.
    pub fn minus(&self, other: &Self) -> Option<Self> {
        self.plus(&Self { value: -other.value, ..other.clone() })
    }

    /// Multiplies two quantities. The caller names the unit of the product.
    pub fn times(&self, other: &Self, unit: impl Into<String>) -> Self {
        let value = self.value * other.value;
        let uncertainty = (self.uncertainty * other.value).hypot(other.uncertainty * self.value);
        Self::new(value, uncertainty, unit, Source::from_product(self.source, other.source))
    }

    /// Divides by `divisor`. The caller names the unit of the ratio. Returns `None` if the divisor is zero.
    pub fn per(&self, divisor: &Self, unit: impl Into<String>) -> Option<Self> {
        if divisor.value == 0.0 {
            return None;
        }
        let value = self.value / divisor.value;
        // u(a/b) = sqrt(u(a)^2 + (a/b)^2 u(b)^2) / |b|. Unlike the relative form, it is defined at a = 0.
        let uncertainty = self.uncertainty.hypot(value * divisor.uncertainty) / divisor.value.abs();
        Some(Self::new(value, uncertainty, unit, Source::from_product(self.source, divisor.source)))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", significant(self.value))?;
        if !is_rounding_error(self.value, self.uncertainty) {
            write!(f, " ± {}", significant(self.uncertainty))?;
        }
        match &self.unit[..] {
            "1" => Ok(()),
            unit => write!(f, " {}", unit.replace(['{', '}'], "")),
        }
    }
}

/// Returns true if an uncertainty is 0, or no more than what floating-point arithmetic leaves of equal numbers: below 1e-12 of the
/// value. It is not shown then.
///
/// ```
/// assert!(llem_quantity::is_rounding_error(0.7861, 5.9e-16));
/// assert!(!llem_quantity::is_rounding_error(0.0, 5.9e-16));
/// ```
pub fn is_rounding_error(value: f64, uncertainty: f64) -> bool {
    // The spread of a thousand equal numbers around a mean that is off by some units in the last place, 2.2e-16 of it.
    uncertainty.abs() <= 1e-12 * value.abs()
}

/// Formats a number with four significant digits. It uses an exponent only below 0.0001 and from 10 million on.
///
/// ```
/// assert_eq!(llem_quantity::significant(0.012_345_6), "0.01235");
/// assert_eq!(llem_quantity::significant(123_456.0), "123456");
/// ```
pub fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let magnitude = value.abs().log10().floor();
    match magnitude {
        m if (-4.0..3.0).contains(&m) => format!("{value:.*}", (3.0 - m) as usize),
        m if (3.0..7.0).contains(&m) => format!("{value:.0}"),
        _ => format!("{value:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Independent values with 1 and 2 % relative uncertainty: the ratio has sqrt(1^2 + 2^2) %.
    #[test]
    fn relative_uncertainties_add_in_quadrature() {
        let energy = Quantity::new(100.0, 1.0, "J", Source::Rapl);
        let tokens = Quantity::new(50.0, 1.0, "{token}", Source::Counted);
        let ratio = energy.per(&tokens, "J/{token}").expect("tokens are not zero");
        assert_eq!(ratio.value, 2.0);
        assert!((ratio.uncertainty - 2.0 * 0.05f64.sqrt() / 10.0).abs() < 1e-12);
    }

    #[test]
    fn unlike_units_do_not_add() {
        let joules = Quantity::exact(1.0, "J", Source::Rapl);
        assert!(joules.plus(&Quantity::exact(1.0, "W", Source::Rapl)).is_none());
        assert_eq!(joules.plus(&joules).map(|sum| sum.value), Some(2.0));
    }

    // (3 ± 0.1) x (2 ± 0.2): sqrt(0.2^2 + 0.6^2)
    #[test]
    fn products_and_differences_carry_their_uncertainty() {
        let power = Quantity::new(3.0, 0.1, "W", Source::Rapl);
        let energy = power.times(&Quantity::new(2.0, 0.2, "s", Source::Clock), "J");
        assert!(
            (energy.value - 6.0).abs() < 1e-12
                && (energy.uncertainty - 0.4f64.sqrt()).abs() < 1e-12
        );
        let rest = energy.minus(&Quantity::new(1.0, 0.3, "J", Source::Modelled)).expect("joules");
        assert!((rest.value - 5.0).abs() < 1e-12 && (rest.uncertainty - 0.7).abs() < 1e-12);
        assert_eq!(rest.source, Source::Modelled);
        assert_eq!(rest.per(&power, "s").map(|time| time.source), Some(Source::Modelled));
    }

    #[test]
    fn what_is_no_measurement_becomes_none_by_arithmetic() {
        let measured = Quantity::new(1.0, 0.1, "J", Source::NvmlCounter);
        for (source, stays) in [
            (Source::Simulated, Source::Simulated),
            (Source::Modelled, Source::Modelled),
            (Source::Script, Source::Script),
            (Source::Rapl, Source::Derived),
        ] {
            let other = Quantity { source, ..measured.clone() };
            assert_eq!(measured.plus(&other).map(|sum| sum.source), Some(stays));
            assert_eq!(other.per(&measured, "1").map(|ratio| ratio.source), Some(stays));
        }
    }

    #[test]
    fn what_a_model_is_wrong_by_does_not_average_out() {
        let modelled = Quantity::new(10.0, 3.0, "J", Source::Modelled);
        assert_eq!(modelled.plus(&modelled).map(|sum| sum.uncertainty), Some(6.0));
    }

    #[test]
    fn people_see_four_digits() {
        assert_eq!(significant(0.012_345_6), "0.01235");
        assert_eq!(significant(12.345_6), "12.35");
        assert_eq!(significant(123_456.0), "123456");
        assert_eq!(
            Quantity::new(2.0, 0.1, "J/{token}", Source::Rapl).to_string(),
            "2.000 ± 0.1000 J/token"
        );
    }
}
