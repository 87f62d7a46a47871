//! A number that can be published: value, standard uncertainty, unit and source, and how they
//! propagate.
//!
//! Propagation is first order and assumes independent inputs (JCGM 100:2008, GUM, 5.1.2), but for sums of
//! modelled quantities: what a model is wrong by it is wrong by each time (5.2.2, note 1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a number came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// A monotonic clock of the host.
    Clock,
    /// Counted exactly.
    Counted,
    /// NVML's cumulative energy counter.
    NvmlCounter,
    /// NVML's power field, integrated over time.
    NvmlPower,
    /// RAPL's cumulative energy counter, through powercap.
    Rapl,
    /// An instantaneous reading of a device.
    Sensor,
    /// From the model's shape.
    Analytic,
    /// Computed from other quantities.
    Derived,
    /// From a declared power model, or as it is known of a kind of device.
    Modelled,
    /// What a vendor's datasheet promises.
    Datasheet,
    /// From files or a library that stand in for the hardware's.
    Simulated,
    /// As a script says, whatever it was made of.
    Script,
}

impl Source {
    /// All of them.
    const ALL: [Self; 12] = [
        Self::Clock,
        Self::Counted,
        Self::NvmlCounter,
        Self::NvmlPower,
        Self::Rapl,
        Self::Sensor,
        Self::Analytic,
        Self::Derived,
        Self::Modelled,
        Self::Datasheet,
        Self::Simulated,
        Self::Script,
    ];

    /// Its name, as records hold it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Counted => "counted",
            Self::NvmlCounter => "nvml-counter",
            Self::NvmlPower => "nvml-power",
            Self::Rapl => "rapl",
            Self::Sensor => "sensor",
            Self::Analytic => "analytic",
            Self::Derived => "derived",
            Self::Modelled => "modelled",
            Self::Datasheet => "datasheet",
            Self::Simulated => "simulated",
            Self::Script => "script",
        }
    }

    /// The source of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }
}

/// A value with its standard uncertainty, unit and source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantity {
    /// The value, in `unit`.
    pub value: f64,
    /// One standard deviation, in `unit`; 0 where exact.
    pub uncertainty: f64,
    /// The unit, in UCUM's spelling where it has one.
    pub unit: String,
    /// Where the value came from.
    pub source: Source,
}

/// A quantity, or the reason why there is none.
pub type Reading = Result<Quantity, String>;

/// [`Reading`] as it is written to JSON: either the quantity's fields or `{"unavailable": reason}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ReadingRecord {
    /// There is a number.
    Known(Quantity),
    /// There is none.
    Unavailable {
        /// Why not.
        unavailable: String,
    },
}

impl From<&Reading> for ReadingRecord {
    fn from(reading: &Reading) -> Self {
        match reading {
            Ok(quantity) => Self::Known(quantity.clone()),
            Err(reason) => Self::Unavailable { unavailable: reason.clone() },
        }
    }
}

impl ReadingRecord {
    /// What it was made of.
    pub fn reading(&self) -> Reading {
        match self {
            Self::Known(quantity) => Ok(quantity.clone()),
            Self::Unavailable { unavailable } => Err(unavailable.clone()),
        }
    }
}

impl Quantity {
    /// A value with a standard uncertainty.
    pub fn new(value: f64, uncertainty: f64, unit: impl Into<String>, source: Source) -> Self {
        Self { value, uncertainty: uncertainty.abs(), unit: unit.into(), source }
    }

    /// A value without uncertainty.
    pub fn exact(value: f64, unit: impl Into<String>, source: Source) -> Self {
        Self::new(value, 0.0, unit, source)
    }

    /// The sum of two quantities in the same unit; none where the units differ. The source stays
    /// if both share it, and is `derived` otherwise, or `modelled` where one is.
    pub fn plus(&self, other: &Self) -> Option<Self> {
        (self.unit == other.unit).then(|| Self {
            value: self.value + other.value,
            uncertainty: match [self.source, other.source] {
                [Source::Modelled, Source::Modelled] => self.uncertainty + other.uncertainty,
                _ => self.uncertainty.hypot(other.uncertainty),
            },
            unit: self.unit.clone(),
            source: joint(self.source, other.source),
        })
    }

    /// The difference of two quantities in the same unit; none where the units differ.
    pub fn minus(&self, other: &Self) -> Option<Self> {
        self.plus(&Self { value: -other.value, ..other.clone() })
    }

    /// The product of two quantities, in the unit `unit`.
    pub fn times(&self, other: &Self, unit: impl Into<String>) -> Self {
        let value = self.value * other.value;
        let uncertainty = (self.uncertainty * other.value).hypot(other.uncertainty * self.value);
        Self::new(value, uncertainty, unit, derived(self.source, other.source))
    }

    /// The ratio of two quantities, in the unit `unit`; none where the divisor is zero.
    pub fn per(&self, divisor: &Self, unit: impl Into<String>) -> Option<Self> {
        if divisor.value == 0.0 {
            return None;
        }
        let value = self.value / divisor.value;
        // u(a/b) = sqrt(u(a)^2 + (a/b)^2 u(b)^2) / |b|, which also holds at a = 0.
        let uncertainty = self.uncertainty.hypot(value * divisor.uncertainty) / divisor.value.abs();
        Some(Self::new(value, uncertainty, unit, derived(self.source, divisor.source)))
    }
}

/// The source of what is made of two quantities: what is no measurement stays none, whatever is computed with it.
fn derived(one: Source, other: Source) -> Source {
    let none = [Source::Script, Source::Simulated, Source::Modelled];
    none.into_iter().find(|none| [one, other].contains(none)).unwrap_or(Source::Derived)
}

/// That of a sum or difference, which is still what both were.
fn joint(one: Source, other: Source) -> Source {
    if one == other { one } else { derived(one, other) }
}

impl fmt::Display for Source {
    /// As it is written in records: `nvml-counter`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", significant(self.value))?;
        if self.uncertainty > 0.0 {
            write!(f, " ± {}", significant(self.uncertainty))?;
        }
        match &self.unit[..] {
            "1" => Ok(()),
            unit => write!(f, " {}", unit.replace(['{', '}'], "")),
        }
    }
}

/// Four significant digits, without an exponent where a person can do without.
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
