//! Quantities: numbers with an uncertainty, a unit and a source, and arithmetic on them.
//!
//! Uncertainties propagate to first order for independent inputs (JCGM 100:2008, GUM, 5.1.2). Quantities from a power
//! model are different: its error is the same in each of them, so their uncertainties are fully correlated and add up
//! linearly (GUM 5.2.2, note 1).

use crate::{bindings::types, open_enum::open_enum, report::Metric, statistics};

open_enum! {
    /// The source of a number.
    Source {
        /// A monotonic clock of the host.
        Clock = "clock",
        /// An exact count of tokens, bytes or requests.
        Counted = "counted",
        /// NVML's cumulative energy counter of a GPU.
        NvmlCounter = "nvml-counter",
        /// NVML's power field, integrated over time by the host.
        NvmlPower = "nvml-power",
        /// RAPL's cumulative energy counter of a CPU package or its DRAM.
        Rapl = "rapl",
        /// An instantaneous reading of a device.
        Sensor = "sensor",
        /// A computation from the model's shape, not an observation.
        Analytic = "analytic",
        /// A computation from other quantities.
        Derived = "derived",
        /// A power model that the user declared, or a property that is known for a kind of device.
        Modelled = "modelled",
        /// A vendor's datasheet.
        Datasheet = "datasheet",
        /// A simulation of the hardware, not a reading of a machine.
        Simulated = "simulated",
        /// A statement of a script.
        Script = "script",
    }
}

/// A number with its standard uncertainty, unit and source.
///
/// ```
/// use llem_sdk::{Quantity, Source};
///
/// // 50 J with an uncertainty of 1 J, over 20 tokens.
/// let energy = Quantity::new(50.0, 1.0, "J", Source::NvmlCounter);
/// let each = energy.per(20.0, "J/{token}").ok_or("no token was generated")?;
/// assert_eq!((each.value, each.uncertainty), (2.5, 0.05));
/// assert_eq!((each.unit.as_str(), each.source), ("J/{token}", Source::Derived));
/// # Ok::<(), llem_sdk::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity {
    /// The value, in `unit`.
    pub value: f64,
    /// The standard uncertainty (one standard deviation, GUM 4.2.3) in `unit`. It is 0 for an exact number.
    pub uncertainty: f64,
    /// The unit, in UCUM's spelling if UCUM has it: `J`, `W`, `s`, `Cel`, `MHz`, `FLOP`, `{token}/s`.
    pub unit: String,
    /// The source of the value.
    pub source: Source,
}

/// A quantity, or the reason why it is not available. Zero means a measured zero.
pub type Reading = Result<Quantity, String>;

impl From<types::Quantity> for Quantity {
    fn from(given: types::Quantity) -> Self {
        let types::Quantity { value, uncertainty, unit, source } = given;
        Self { value, uncertainty, unit, source: source.into() }
    }
}

impl From<&Quantity> for types::Quantity {
    fn from(quantity: &Quantity) -> Self {
        let Quantity { value, uncertainty, unit, source } = quantity.clone();
        Self { value, uncertainty, unit, source: source.to_string() }
    }
}

/// Converts a reading from the host's type.
pub(crate) fn reading_from(reading: types::Reading) -> Reading {
    match reading {
        types::Reading::Known(quantity) => Ok(quantity.into()),
        types::Reading::Unavailable(reason) => Err(reason),
    }
}

impl Quantity {
    /// Creates a quantity without uncertainty.
    pub fn exact(value: f64, unit: &str, source: Source) -> Self {
        Self { value, uncertainty: 0.0, unit: unit.to_owned(), source }
    }

    /// Computes the mean of repeated values, with the standard deviation of the mean as its uncertainty (GUM 4.2.3).
    /// Returns `None` if there are no values. A single value has no known spread and gets an uncertainty of 0.
    pub fn mean(values: &[f64], unit: &str) -> Option<Self> {
        let value = statistics::mean(values)?;
        let uncertainty = statistics::standard_error(values).unwrap_or(0.0);
        Some(Self { value, uncertainty, unit: unit.to_owned(), source: Source::Derived })
    }

    /// Computes the mean of repeated quantities. The uncertainty is the standard deviation of the mean, or the mean's
    /// uncertainty propagated from the quantities if that is larger. Returns `None` if there are no quantities or if
    /// their units differ.
    pub fn mean_of(quantities: impl IntoIterator<Item = Self>) -> Option<Self> {
        let quantities: Vec<Self> = quantities.into_iter().collect();
        let unit = &quantities.first()?.unit;
        if quantities.iter().any(|quantity| quantity.unit != *unit) {
            return None;
        }
        let values: Vec<f64> = quantities.iter().map(|quantity| quantity.value).collect();
        let mean = Self::mean(&values, unit)?;
        let is_modelled = quantities.iter().any(|quantity| quantity.source == Source::Modelled);
        let own = quantities.iter().fold(0.0, |sum: f64, quantity| match is_modelled {
            true => sum + quantity.uncertainty,
            false => sum.hypot(quantity.uncertainty),
        });
        let source = quantities
            .iter()
            .fold(mean.source.clone(), |source, quantity| derived(&source, &quantity.source));
        let uncertainty = mean.uncertainty.max(own / values.len() as f64);
        Some(Self { uncertainty, source, ..mean })
    }

    /// Formats the value and its uncertainty with two digits of the uncertainty: `12.34 ± 0.56`.
    pub fn in_two_digits(&self) -> String {
        let (value, uncertainty) = (self.value, self.uncertainty);
        let decimals = match uncertainty > 0.0 {
            true => (1.0 - uncertainty.log10().floor()).clamp(0.0, 9.0) as usize,
            false => 1,
        };
        format!("{value:.decimals$} ± {uncertainty:.decimals$}")
    }

    /// Creates a quantity with a standard uncertainty, whose sign is ignored.
    pub fn new(value: f64, uncertainty: f64, unit: &str, source: Source) -> Self {
        Self { value, uncertainty: uncertainty.abs(), unit: unit.to_owned(), source }
    }

    /// Adds two quantities. Returns `None` if their units differ.
    pub fn plus(&self, other: &Self) -> Option<Self> {
        (self.unit == other.unit).then(|| Self {
            value: self.value + other.value,
            uncertainty: match [&self.source, &other.source] {
                [Source::Modelled, Source::Modelled] => self.uncertainty + other.uncertainty,
                _ => self.uncertainty.hypot(other.uncertainty),
            },
            unit: self.unit.clone(),
            source: match self.source == other.source {
                true => self.source.clone(),
                false => derived(&self.source, &other.source),
            },
        })
    }

    /// Subtracts a quantity. Returns `None` if the units differ.
    pub fn minus(&self, other: &Self) -> Option<Self> {
        self.plus(&Self { value: -other.value, ..other.clone() })
    }

    /// Multiplies two quantities. `unit` is the unit of the product.
    pub fn times(&self, other: &Self, unit: &str) -> Self {
        let value = self.value * other.value;
        let uncertainty = (self.uncertainty * other.value).hypot(other.uncertainty * self.value);
        Self::new(value, uncertainty, unit, derived(&self.source, &other.source))
    }

    /// Divides by a quantity. `unit` is the unit of the ratio. Returns `None` if the divisor is zero.
    pub fn over(&self, divisor: &Self, unit: &str) -> Option<Self> {
        let value = self.value / divisor.value;
        // u(a/b) = sqrt(u(a)^2 + (a/b)^2 u(b)^2) / |b|, which also holds at a = 0.
        let uncertainty = self.uncertainty.hypot(value * divisor.uncertainty) / divisor.value;
        (divisor.value != 0.0)
            .then(|| Self::new(value, uncertainty, unit, derived(&self.source, &divisor.source)))
    }

    /// Divides by an exact number. `unit` is the unit of the ratio. Returns `None` if the divisor is zero.
    pub fn per(&self, divisor: f64, unit: &str) -> Option<Self> {
        self.over(&Self::exact(divisor, unit, Source::Counted), unit)
    }

    /// Turns the quantity into a metric of this name.
    pub fn into_metric(self, name: &str) -> Metric {
        Metric { name: name.to_owned(), quantity: self, labels: Vec::new() }
    }
}

/// Returns the source of a result of two quantities. A result of an input that was not measured does not count as
/// measured either: it has that input's source.
fn derived(one: &Source, other: &Source) -> Source {
    let not_measured = [Source::Script, Source::Simulated, Source::Modelled];
    not_measured
        .into_iter()
        .find(|source| [one, other].contains(&source))
        .unwrap_or(Source::Derived)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_equal_values_is_certain() {
        let mean = Quantity::mean(&[2.0, 2.0, 2.0], "s").expect("values");
        assert_eq!((mean.value, mean.uncertainty), (2.0, 0.0));
        assert!(Quantity::mean(&[], "s").is_none());
    }

    // The same figures as in the host's crate of this name.
    #[test]
    fn uncertainty_propagates_and_results_of_a_model_stay_modelled() {
        let power = Quantity::new(3.0, 0.1, "W", Source::Rapl);
        let energy = power.times(&Quantity::new(2.0, 0.2, "s", Source::Clock), "J");
        assert!((energy.uncertainty - 0.4f64.sqrt()).abs() < 1e-12);
        let rest = energy.minus(&Quantity::new(1.0, 0.3, "J", Source::Modelled)).expect("joules");
        assert!((rest.uncertainty - 0.7).abs() < 1e-12 && rest.source == Source::Modelled);
        assert_eq!(rest.over(&power, "s").map(|time| time.source), Some(Source::Modelled));
        assert!(power.over(&Quantity::exact(0.0, "s", Source::Clock), "W/s").is_none());
    }

    // statistics.stdev([1, 2, 3, 4]) / 2 = 0.6454972243679028
    #[test]
    fn the_mean_of_unequal_values_is_uncertain() {
        let mean = Quantity::mean(&[1.0, 2.0, 3.0, 4.0], "s").expect("values");
        assert!((mean.uncertainty - 0.645_497_224_367_902_8).abs() < 1e-12);
    }
}
