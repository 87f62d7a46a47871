//! Arithmetic on readings: on numbers any of which may be unavailable.
//!
//! A result is unavailable if an input is, with the reason of the first such input. Otherwise the uncertainty is propagated
//! as in the methods of [`Quantity`] with the same names.
//!
//! ```
//! use llem_sdk::{Quantity, Reading, Source, reading};
//!
//! let energy: Reading = Ok(Quantity::new(50.0, 1.0, "J", Source::Rapl));
//! let none: Reading = Err("no counter can be read".to_owned());
//! assert_eq!(reading::plus(&energy, &none), none);
//! assert_eq!(reading::value(&reading::per(&energy, 20.0, "J/{token}")), Some(2.5));
//! ```

use crate::quantity::{Quantity, Reading, Source};

/// Returns the value of a reading, or `None` if it is unavailable.
pub fn value(reading: &Reading) -> Option<f64> {
    reading.as_ref().ok().map(|quantity| quantity.value)
}

/// Adds two readings. The sum is unavailable if their units differ.
pub fn plus(one: &Reading, other: &Reading) -> Reading {
    let (one, other) = both(one, other)?;
    one.plus(other).ok_or_else(|| format!("{} and {} cannot be added", one.unit, other.unit))
}

/// Subtracts a reading. The difference is unavailable if the units differ.
pub fn minus(one: &Reading, other: &Reading) -> Reading {
    let (one, other) = both(one, other)?;
    one.minus(other).ok_or_else(|| format!("{} cannot be subtracted from {}", other.unit, one.unit))
}

/// Multiplies two readings. `unit` is the unit of the product.
pub fn times(one: &Reading, other: &Reading, unit: &str) -> Reading {
    let (one, other) = both(one, other)?;
    Ok(one.times(other, unit))
}

/// Multiplies by an exact number. `unit` is the unit of the product.
pub fn scaled(one: &Reading, factor: f64, unit: &str) -> Reading {
    times(one, &Ok(Quantity::exact(factor, unit, Source::Counted)), unit)
}

/// Divides by a reading. `unit` is the unit of the ratio. The ratio is unavailable if the divisor is zero.
pub fn over(one: &Reading, divisor: &Reading, unit: &str) -> Reading {
    let (one, divisor) = both(one, divisor)?;
    one.over(divisor, unit).ok_or_else(|| "the divisor is zero".to_owned())
}

/// Divides by an exact number. `unit` is the unit of the ratio. The ratio is unavailable if the divisor is zero.
pub fn per(one: &Reading, divisor: f64, unit: &str) -> Reading {
    over(one, &Ok(Quantity::exact(divisor, unit, Source::Counted)), unit)
}

/// Adds all readings. `otherwise` is the reason if there are none.
pub fn total<'a>(readings: impl IntoIterator<Item = &'a Reading>, otherwise: &str) -> Reading {
    let mut readings = readings.into_iter();
    let first = readings.next().ok_or_else(|| otherwise.to_owned())?.clone();
    readings.fold(first, |total, reading| plus(&total, reading))
}

/// Computes the mean of repeated readings ([`Quantity::mean_of`]). `otherwise` is the reason if there are none.
pub fn mean<'a>(readings: impl IntoIterator<Item = &'a Reading>, otherwise: &str) -> Reading {
    let quantities: Vec<Quantity> = readings.into_iter().cloned().collect::<Result<_, _>>()?;
    let unit = quantities.first().ok_or_else(|| otherwise.to_owned())?.unit.clone();
    let different = quantities.iter().find(|quantity| quantity.unit != unit);
    if let Some(different) = different {
        return Err(format!("{unit} and {} cannot be averaged", different.unit));
    }
    Quantity::mean_of(quantities).ok_or_else(|| otherwise.to_owned())
}

/// Returns the quantities of two readings, or the first reason why one of them is unavailable.
fn both<'a>(one: &'a Reading, other: &'a Reading) -> Result<(&'a Quantity, &'a Quantity), String> {
    Ok((one.as_ref().map_err(Clone::clone)?, other.as_ref().map_err(Clone::clone)?))
}
