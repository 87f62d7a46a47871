//! Results and messages of a script. Each is written to the run's journal at once.

use crate::{
    Result,
    bindings::{report, types},
    quantity::Quantity,
};

pub use report::{Level, Series, Table, log, show_progress, warn};

/// A named result of the experiment.
///
/// ```
/// use llem_sdk::{Quantity, Source};
///
/// let rate = Quantity::exact(12.0, "{token}/s", Source::Derived);
/// let metric = rate.into_metric("decode_rate").label("batch", "8");
/// assert_eq!(metric.name, "decode_rate");
/// assert_eq!(metric.labels, [("batch".to_owned(), "8".to_owned())]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The name in snake case: `joules_per_output_token`.
    pub name: String,
    /// The value of the metric. The record marks its source as the script's claim.
    pub quantity: Quantity,
    /// Names and values of labels, which distinguish metrics of one name.
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

/// Reports a metric. Fails with `invalid-argument` if the name is empty, if the value or uncertainty is not finite, if
/// the uncertainty is negative, if this llem does not know the source, or if the unit has more than 64 bytes or
/// contains control characters.
pub fn add_metric(metric: &Metric) -> Result<()> {
    Ok(report::add_metric(&metric.into())?)
}

/// Reports a curve. Fails with `invalid-argument` if the name is empty, if a coordinate is not finite, or if a unit has
/// more than 64 bytes or contains control characters.
pub fn add_series(series: &Series) -> Result<()> {
    Ok(report::add_series(series)?)
}

/// Reports a table. Fails with `invalid-argument` if a row and the column heads differ in length.
pub fn add_table(table: &Table) -> Result<()> {
    Ok(report::add_table(table)?)
}

/// Writes a file into the run's folder. Fails with `invalid-argument` if the name is not a single path component, or if
/// an artifact of this name exists.
pub fn write_artifact(name: &str, content: &[u8]) -> Result<()> {
    Ok(report::write_artifact(name, content)?)
}

/// A named part of the run, from its beginning until [`Self::end`] or drop. Phases nest.
#[derive(Debug)]
pub struct Phase(report::Phase);

impl Phase {
    /// Begins a phase inside the open one.
    pub fn begin(name: &str) -> Result<Self> {
        Ok(Self(report::Phase::begin(name)?))
    }

    /// Ends the phase, and with it all phases that are still open inside.
    pub fn end(self) -> Result<()> {
        Ok(report::Phase::end(self.0)?)
    }
}
