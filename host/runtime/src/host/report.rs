//! The interface `report.wit`: all that a script reports goes to the journal at once.

use super::{
    names::{check_label, check_name},
    types::{HostResult, QuantityError, check_unit},
};
use crate::{
    bindings::report, error::Refusal, run::OpenPhase, sha256::sha256, store_data::StoreData,
};
use llem_quantity::{Quantity, Source};
use llem_record::{Artifact, Event, Metric, Series, Table};
use std::fmt::Display;
use wasmtime::component::Resource;

impl report::Host for StoreData {
    fn show_progress(&mut self, done: u64, total: u64, label: String) -> wasmtime::Result<()> {
        self.run.output.observer().progress(done, total, &label);
        Ok(())
    }

    fn log(&mut self, level: report::Level, message: String) -> wasmtime::Result<()> {
        self.run.output.write_script_event(Event::Log { level: level.name().to_owned(), message })
    }

    fn add_metric(&mut self, metric: report::Metric) -> HostResult<()> {
        self.report(checked_metric(metric))
    }

    fn add_series(&mut self, series: report::Series) -> HostResult<()> {
        self.report(checked_series(series))
    }

    fn add_table(&mut self, table: report::Table) -> HostResult<()> {
        self.report(checked_table(table))
    }

    fn write_artifact(&mut self, name: String, content: Vec<u8>) -> HostResult<()> {
        let written = match check_file_name(&name) {
            Ok(()) => self
                .run
                .output
                .write_artifact(&name, &content)?
                .map_err(|error| Refusal::InvalidArgument(error.to_string())),
            Err(refusal) => Err(refusal),
        };
        self.report(written.map(|path| {
            let (bytes, digest) = (content.len() as u64, sha256(&content));
            Event::Artifact(Artifact { path, bytes, digest })
        }))
    }

    fn warn(&mut self, message: String) -> wasmtime::Result<()> {
        self.run.output.write_script_event(Event::ScriptWarning { message })
    }
}

impl report::HostPhase for StoreData {
    fn begin(&mut self, name: String) -> HostResult<Resource<OpenPhase>> {
        if let Err(refusal) = check_name("phase", &name) {
            return Ok(Err(refusal.into()));
        }
        let depth = self.run.phases.begin(name)?;
        Ok(Ok(self.new_handle(OpenPhase { depth })?))
    }

    fn end(&mut self, phase: Resource<OpenPhase>) -> HostResult<()> {
        let depth = self.table.delete(phase)?.depth;
        self.run.phases.end(depth)?;
        Ok(Ok(()))
    }

    fn drop(&mut self, phase: Resource<OpenPhase>) -> wasmtime::Result<()> {
        let depth = self.table.delete(phase)?.depth;
        self.run.phases.end(depth)
    }
}

impl report::Level {
    /// The level's name in WIT.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl StoreData {
    /// Writes what a script reports, unless it was refused.
    fn report(&self, event: Result<Event, Refusal>) -> HostResult<()> {
        match event {
            Ok(event) => Ok(Ok(self.run.output.write_script_event(event)?)),
            Err(refusal) => Ok(Err(refusal.into())),
        }
    }
}

fn checked_metric(metric: report::Metric) -> Result<Event, Refusal> {
    let report::Metric { name, quantity, labels } = metric;
    check_name("metric", &name)?;
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        check_label("metric", text)?;
    }
    let quantity: Quantity =
        quantity.try_into().map_err(|error: QuantityError| refused("metric", &name, error))?;
    Ok(Event::Metric(Metric {
        name,
        // The host cannot check the source of a number that a script reports.
        claimed_source: Some(quantity.source),
        quantity: Quantity { source: Source::Script, ..quantity },
        labels: labels.into_iter().collect(),
    }))
}

fn checked_series(series: report::Series) -> Result<Event, Refusal> {
    let report::Series { name, x, y, points } = series;
    check_name("series", &name)?;
    if points.iter().any(|(x, y)| !(x.is_finite() && y.is_finite())) {
        return Err(refused("series", &name, "holds a point that is no number"));
    }
    for (axis, unit) in [&x, &y] {
        check_name("axis", axis)?;
        check_unit(unit).map_err(|error| refused("series", &name, error))?;
    }
    Ok(Event::Series(Series { name, x, y, points, source: Source::Script }))
}

fn checked_table(table: report::Table) -> Result<Event, Refusal> {
    let report::Table { name, columns, rows } = table;
    check_name("table", &name)?;
    for column in &columns {
        check_label("column", column)?;
    }
    if let Some(row) = rows.iter().position(|row| row.len() != columns.len()) {
        let (heads, cells) = (columns.len(), rows[row].len());
        let reason = format!("has {heads} columns, but row {row} has {cells} cells");
        return Err(refused("table", &name, reason));
    }
    Ok(Event::Table(Table { name, columns, rows, source: Source::Script }))
}

/// Refuses a name that is not a single path component, or that has a special meaning in a shell.
fn check_file_name(name: &str) -> Result<(), Refusal> {
    check_name("artifact", name)?;
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
    if !is_plain || name.starts_with('.') {
        return Err(Refusal::InvalidArgument(format!(
            "artifact '{name}': a name is letters, digits, '.', '-' and '_', and does not begin with '.'"
        )));
    }
    Ok(())
}

/// Refuses something that cannot be recorded.
fn refused(what: &str, name: &str, reason: impl Display) -> Refusal {
    Refusal::InvalidArgument(format!("{what} '{name}' {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_has_a_plain_file_name() {
        assert!(check_file_name("plot-1_a.svg").is_ok());
        for name in ["", ".hidden", "../x", "a/b", "a b", "a\n", "\u{e9}"] {
            assert!(check_file_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_row_has_a_cell_for_each_column() {
        let text = |text: &str| text.to_owned();
        let table = |row: Vec<String>| report::Table {
            name: text("t"),
            columns: vec![text("a"), text("b")],
            rows: vec![vec![text("1"), text("2")], row],
        };
        assert!(checked_table(table(vec![text("3"), text("4")])).is_ok());
        let refused = checked_table(table(vec![text("3")])).expect_err("refused").to_string();
        assert_eq!(refused, "table 't' has 2 columns, but row 1 has 1 cells");
    }

    #[test]
    fn a_point_of_a_series_is_finite() {
        let axis = || ("time".to_owned(), "s".to_owned());
        let series = |y: f64| report::Series {
            name: "s".to_owned(),
            x: axis(),
            y: axis(),
            points: vec![(0.0, y)],
        };
        assert!(checked_series(series(1.0)).is_ok());
        assert!(checked_series(series(f64::NAN)).is_err());
    }
}
