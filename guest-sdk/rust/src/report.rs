//! What a script says: everything here is written to the run's journal at once.

use crate::{
    Result,
    bindings::{report, types},
    quantity::Quantity,
};

pub use report::{Level, Series, Table, log, show_progress, warn};

/// A result of the experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Snake case: `joules_per_output_token`.
    pub name: String,
    /// The number.
    pub quantity: Quantity,
    /// What tells it from others of its name: names and values.
    pub labels: Vec<(String, String)>,
}

impl Metric {
    /// Adds a label.
    pub fn label(mut self, name: &str, value: impl Into<String>) -> Self {
        self.labels.push((name.to_owned(), value.into()));
        self
    }
}

impl From<report::Metric> for Metric {
    fn from(metric: report::Metric) -> Self {
        let report::Metric { name, quantity, labels } = metric;
        Self { name, quantity: quantity.into(), labels }
    }
}

impl From<&Metric> for report::Metric {
    fn from(metric: &Metric) -> Self {
        let Metric { name, quantity, labels } = metric.clone();
        Self { name, quantity: types::Quantity::from(&quantity), labels }
    }
}

/// Reports a result. Fails with `invalid-argument` for an empty name, a value or uncertainty that is no finite number, a
/// negative uncertainty, and a unit of more than 64 bytes or with control characters.
pub fn add_metric(metric: &Metric) -> Result<()> {
    Ok(report::add_metric(&metric.into())?)
}

/// Reports a curve. Fails with `invalid-argument` for an empty name and a point that is no finite number.
pub fn add_series(series: &Series) -> Result<()> {
    Ok(report::add_series(series)?)
}

/// Reports a table. Fails with `invalid-argument` where a row is not as long as the heads.
pub fn add_table(table: &Table) -> Result<()> {
    Ok(report::add_table(table)?)
}

/// Writes a file into the run's folder. Fails with `invalid-argument` for a name that is no single path component, and
/// for one of which there is an artifact already.
pub fn write_artifact(name: &str, content: &[u8]) -> Result<()> {
    Ok(report::write_artifact(name, content)?)
}

/// A named, nested part of the run, from its beginning to its end (or drop).
#[derive(Debug)]
pub struct Phase(report::Phase);

impl Phase {
    /// Begins a phase within the one that is open.
    pub fn begin(name: &str) -> Result<Self> {
        Ok(Self(report::Phase::begin(name)?))
    }

    /// Ends it. Phases end in reverse order; those still open inside it end with it.
    pub fn end(self) -> Result<()> {
        Ok(report::Phase::end(self.0)?)
    }
}
