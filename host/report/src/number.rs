//! A number of a report: a value with uncertainty, unit, source and coverage, or the reason why it is absent.

use crate::{
    prefix::{ShownUnit, shown_unit},
    rounding::{Rounded, round},
};
use llem_quantity::{Quantity, ReadingRecord, Source};
use serde::Serialize;

/// A number of a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Number {
    /// The value in `unit`, or the reason why there is none.
    #[serde(flatten)]
    pub value: Value,
    /// The unit, in UCUM's spelling.
    pub unit: String,
    /// Where the number came from, such as `rapl` or `script: derived`.
    pub source: String,
    /// What the number covers: devices, requests, samples.
    pub coverage: String,
    /// Why the number is no plain measurement. `None` if it is one.
    pub mark: Option<Mark>,
}

/// The value of a number.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", untagged)]
pub(crate) enum Value {
    /// The value and its standard uncertainty. The uncertainty is 0 if the value is exact or none is known.
    Known { value: f64, uncertainty: f64 },
    /// There is no value, for this reason.
    Unavailable { unavailable: String },
}

/// Why a number is no plain measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mark {
    /// Computed by a declared power model, or a nominal value.
    Modelled,
    /// Read from files or a library that imitate the hardware's.
    Simulated,
    /// Reported by a script.
    Script,
    /// Counted from a model's shape.
    Estimated,
    /// Printed in a datasheet.
    Datasheet,
}

impl Mark {
    pub(crate) fn of(source: Source) -> Option<Self> {
        match source {
            Source::Modelled => Some(Self::Modelled),
            Source::Simulated => Some(Self::Simulated),
            Source::Script => Some(Self::Script),
            Source::Analytic => Some(Self::Estimated),
            Source::Datasheet => Some(Self::Datasheet),
            _ => None,
        }
    }

    /// The word that stands beside the number.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Modelled => "modelled",
            Self::Simulated => "simulated",
            Self::Script => "script",
            Self::Estimated => "estimated",
            Self::Datasheet => "datasheet",
        }
    }
}

impl Number {
    /// Creates a number that the host took itself: a time, a count, a ratio of such.
    pub(crate) fn new(value: f64, uncertainty: f64, unit: &str, source: Source) -> Self {
        Self::from(&Quantity::new(value, uncertainty, unit, source))
    }

    /// Creates a number that is not known.
    pub(crate) fn unavailable(unit: &str, reason: impl Into<String>) -> Self {
        let value = Value::Unavailable { unavailable: reason.into() };
        let (source, coverage) = (String::new(), String::new());
        Self { value, unit: unit.to_owned(), source, coverage, mark: None }
    }

    /// Creates a number from a reading of the record, or its absence. `unit` is the unit of an absent one.
    pub(crate) fn from_reading(reading: &ReadingRecord, unit: &str) -> Self {
        match reading {
            ReadingRecord::Known(quantity) => Self::from(quantity),
            ReadingRecord::Unavailable { unavailable, .. } => Self::unavailable(unit, unavailable),
        }
    }

    /// Sets what the number covers.
    pub(crate) fn covering(mut self, coverage: impl Into<String>) -> Self {
        self.coverage = coverage.into();
        self
    }

    /// Returns the value and its uncertainty, or `None` if there is none.
    pub(crate) fn known(&self) -> Option<(f64, f64)> {
        match self.value {
            Value::Known { value, uncertainty } => Some((value, uncertainty)),
            Value::Unavailable { .. } => None,
        }
    }

    /// Returns why there is no value, or `None` if there is one.
    pub(crate) fn unavailable_reason(&self) -> Option<&str> {
        match &self.value {
            Value::Known { .. } => None,
            Value::Unavailable { unavailable } => Some(unavailable),
        }
    }

    /// Returns the unit in which the number is shown alone.
    pub(crate) fn shown_unit(&self) -> ShownUnit {
        shown_unit(&self.unit, self.known().map(|(value, _)| value))
    }

    /// Returns the value and uncertainty as text in a unit, or `None` if there is no value.
    pub(crate) fn rounded(&self, unit: &ShownUnit) -> Option<Rounded> {
        let (value, uncertainty) = self.known()?;
        Some(round(value * unit.factor, uncertainty * unit.factor))
    }

    /// Returns the number as one text in a unit, without the unit: `12.35 ± 0.45`, or `–` if there is none.
    pub(crate) fn text(&self, unit: &ShownUnit) -> String {
        match self.rounded(unit) {
            Some(Rounded { value, uncertainty }) if uncertainty.is_empty() => value,
            Some(Rounded { value, uncertainty }) => format!("{value} ± {uncertainty}"),
            None => "–".to_owned(),
        }
    }

    /// Returns a sentence with everything that is known of the number. It is what a reader sees on hover and on focus.
    pub(crate) fn explanation(&self) -> String {
        let (value, uncertainty) = match &self.value {
            Value::Known { value, uncertainty } => (value, uncertainty),
            Value::Unavailable { unavailable } => return format!("not known: {unavailable}"),
        };
        let unit = if self.unit == "1" { "" } else { &self.unit };
        let uncertainty = match *uncertainty {
            0.0 => "no uncertainty stated".to_owned(),
            uncertainty => format!("standard uncertainty {uncertainty} {unit}"),
        };
        let mut parts =
            vec![format!("{value} {unit}").trim().to_owned(), uncertainty.trim().to_owned()];
        parts.push(format!("source {}", self.source));
        if !self.coverage.is_empty() {
            parts.push(format!("covers {}", self.coverage));
        }
        if let Some(mark) = self.mark {
            parts.push(mark_sentence(mark).to_owned());
        }
        parts.join("; ")
    }
}

fn mark_sentence(mark: Mark) -> &'static str {
    match mark {
        Mark::Modelled => "computed by a declared power model, not measured",
        Mark::Simulated => "read from files or a library that imitate hardware, not measured",
        Mark::Script => "reported by the script, which the host cannot check",
        Mark::Estimated => "counted from the model's shape, not observed",
        Mark::Datasheet => "from a vendor's datasheet",
    }
}

impl From<&Quantity> for Number {
    fn from(quantity: &Quantity) -> Self {
        let &Quantity { value, uncertainty, ref unit, source } = quantity;
        if !value.is_finite() {
            return Self::unavailable(
                unit,
                format!("the recorded value is {value}, which is no number"),
            );
        }
        Self {
            value: Value::Known { value, uncertainty },
            unit: unit.clone(),
            source: source.to_string(),
            coverage: String::new(),
            mark: Mark::of(source),
        }
    }
}
