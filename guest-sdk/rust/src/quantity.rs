//! Arithmetic on quantities that keeps unit and uncertainty. First order, independent inputs (JCGM 100:2008, GUM,
//! 5.1.2), but for modelled ones: what a model is wrong by it is wrong by each time (5.2.2, note 1).

use crate::{bindings::types, report::Metric, words::words};

words! {
    /// Where a number came from.
    Source {
        /// A monotonic clock of the host.
        Clock = "clock",
        /// Counted exactly: tokens, bytes, requests.
        Counted = "counted",
        /// NVML's cumulative energy counter of a GPU.
        NvmlCounter = "nvml-counter",
        /// NVML's power field, integrated over time by the host.
        NvmlPower = "nvml-power",
        /// RAPL's cumulative energy counter of a CPU package or its DRAM.
        Rapl = "rapl",
        /// An instantaneous reading of a device.
        Sensor = "sensor",
        /// Computed from the model's shape, not observed.
        Analytic = "analytic",
        /// Computed from other quantities.
        Derived = "derived",
        /// From a power model that the person running the experiment declared, or as it is known of a kind of device.
        Modelled = "modelled",
        /// What a vendor's datasheet promises.
        Datasheet = "datasheet",
        /// From what stands in for the hardware: no reading of a machine.
        Simulated = "simulated",
        /// As a script says.
        Script = "script",
    }
}

/// A number that can be published: value, standard uncertainty, unit and source.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity {
    /// The value, in `unit`.
    pub value: f64,
    /// Standard uncertainty (one standard deviation, GUM 4.2.3) in `unit`; 0 where exact.
    pub uncertainty: f64,
    /// The unit, in UCUM's spelling where it has one: `J`, `W`, `s`, `Cel`, `MHz`, `FLOP`, `{token}/s`.
    pub unit: String,
    /// Where the value came from.
    pub source: Source,
}

/// A quantity, or the reason why there is none. Zero means a measured zero.
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

/// A reading of the host.
pub(crate) fn read(reading: types::Reading) -> Reading {
    match reading {
        types::Reading::Known(quantity) => Ok(quantity.into()),
        types::Reading::Unavailable(reason) => Err(reason),
    }
}

impl Quantity {
    /// A value without uncertainty.
    pub fn exact(value: f64, unit: &str, source: Source) -> Self {
        Self { value, uncertainty: 0.0, unit: unit.to_owned(), source }
    }

    /// The mean of repeated values with the standard deviation of the mean (GUM 4.2.3). None of no
    /// values; one value alone has no known spread and is given without uncertainty.
    pub fn mean(values: &[f64], unit: &str) -> Option<Self> {
        let count = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let uncertainty =
            if values.len() > 1 { (squares / (count - 1.0) / count).sqrt() } else { 0.0 };
        Some(Self { value: mean, uncertainty, unit: unit.to_owned(), source: Source::Derived })
    }

    /// The same of quantities in one unit; none where there is none or the units differ. The spread
    /// of the values says more than their own uncertainties, unless those are larger.
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

    /// `12.34 ± 0.56`: as many decimals as two digits of the uncertainty take.
    pub fn in_two_digits(&self) -> String {
        let (value, uncertainty) = (self.value, self.uncertainty);
        let decimals = match uncertainty > 0.0 {
            true => (1.0 - uncertainty.log10().floor()).clamp(0.0, 9.0) as usize,
            false => 1,
        };
        format!("{value:.decimals$} ± {uncertainty:.decimals$}")
    }

    /// A value with its standard uncertainty.
    pub fn new(value: f64, uncertainty: f64, unit: &str, source: Source) -> Self {
        Self { value, uncertainty: uncertainty.abs(), unit: unit.to_owned(), source }
    }

    /// The sum; none where the units differ.
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

    /// The difference; none where the units differ.
    pub fn minus(&self, other: &Self) -> Option<Self> {
        self.plus(&Self { value: -other.value, ..other.clone() })
    }

    /// The product, in another unit.
    pub fn times(&self, other: &Self, unit: &str) -> Self {
        let value = self.value * other.value;
        let uncertainty = (self.uncertainty * other.value).hypot(other.uncertainty * self.value);
        Self::new(value, uncertainty, unit, derived(&self.source, &other.source))
    }

    /// The ratio, in another unit; none where the divisor is zero.
    pub fn over(&self, divisor: &Self, unit: &str) -> Option<Self> {
        let value = self.value / divisor.value;
        // u(a/b) = sqrt(u(a)^2 + (a/b)^2 u(b)^2) / |b|, which also holds at a = 0.
        let uncertainty = self.uncertainty.hypot(value * divisor.uncertainty) / divisor.value;
        (divisor.value != 0.0)
            .then(|| Self::new(value, uncertainty, unit, derived(&self.source, &divisor.source)))
    }

    /// Divided by an exact number, in another unit; none where it is zero.
    pub fn per(&self, divisor: f64, unit: &str) -> Option<Self> {
        self.over(&Self::exact(divisor, unit, Source::Counted), unit)
    }

    /// As a metric of this name.
    pub fn named(self, name: &str) -> Metric {
        Metric { name: name.to_owned(), quantity: self, labels: Vec::new() }
    }
}

/// The source of what is made of two quantities: what is no measurement stays none, whatever is computed with it.
fn derived(one: &Source, other: &Source) -> Source {
    let none = [Source::Script, Source::Simulated, Source::Modelled];
    none.into_iter().find(|none| [one, other].contains(&none)).unwrap_or(Source::Derived)
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
    fn uncertainty_travels_and_a_model_stays_one() {
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
    fn the_mean_of_unequal_values_is_not() {
        let mean = Quantity::mean(&[1.0, 2.0, 3.0, 4.0], "s").expect("values");
        assert!((mean.uncertainty - 0.645_497_224_367_902_8).abs() < 1e-12);
    }
}
