//! `report.wit`: all that a script says, to the journal at once.

use super::{
    names::{check_label, check_name},
    types::{Told, check_unit},
};
use crate::{
    bindings::report,
    error::Refusal,
    run::OpenPhase,
    sha256::sha256,
    state::{Stage, State},
};
use llem_quantity::{Quantity, Source};
use llem_record::{Event, event};
use wasmtime::component::Resource;

impl report::Host for State {
    fn show_progress(&mut self, done: u64, total: u64, label: String) -> wasmtime::Result<()> {
        if self.stage == Stage::Running {
            self.run.output.observer().progress(done, total, &label);
        }
        Ok(())
    }

    fn log(&mut self, level: report::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            report::Level::Debug => "debug",
            report::Level::Info => "info",
            report::Level::Warn => "warn",
            report::Level::Error => "error",
        };
        self.run.output.write(Event::Log { level: level.to_owned(), message })
    }

    fn add_metric(&mut self, metric: report::Metric) -> Told<()> {
        only_in_run!(self, "report.add-metric");
        self.report(checked_metric(metric))
    }

    fn add_series(&mut self, series: report::Series) -> Told<()> {
        only_in_run!(self, "report.add-series");
        self.report(checked_series(series))
    }

    fn add_table(&mut self, table: report::Table) -> Told<()> {
        only_in_run!(self, "report.add-table");
        self.report(checked_table(table))
    }

    fn write_artifact(&mut self, name: String, content: Vec<u8>) -> Told<()> {
        only_in_run!(self, "report.write-artifact");
        let written = match check_file_name(&name) {
            Ok(()) => self.run.output.artifact(&name, &content)?.map_err(Refusal::InvalidArgument),
            Err(refusal) => Err(refusal),
        };
        self.report(written.map(|path| {
            let (bytes, digest) = (content.len() as u64, sha256(&content));
            Event::Artifact(event::Artifact { path, bytes, digest })
        }))
    }

    fn warn(&mut self, message: String) -> wasmtime::Result<()> {
        self.run.output.write(Event::ScriptWarning { message })
    }
}

impl report::HostPhase for State {
    fn begin(&mut self, name: String) -> Told<Resource<OpenPhase>> {
        only_in_run!(self, "report.phase.begin");
        if let Err(refusal) = check_name("phase", &name) {
            return Ok(Err(refusal.into()));
        }
        let depth = self.run.phases.begin(name)?;
        Ok(Ok(self.hand_out(OpenPhase { depth })?))
    }

    fn end(&mut self, phase: Resource<OpenPhase>) -> Told<()> {
        let depth = self.table.delete(phase)?.depth;
        self.run.phases.end(depth)?;
        Ok(Ok(()))
    }

    fn drop(&mut self, phase: Resource<OpenPhase>) -> wasmtime::Result<()> {
        let depth = self.table.delete(phase)?.depth;
        self.run.phases.end(depth)
    }
}

impl State {
    /// Writes what a script reports, unless it is refused.
    fn report(&self, event: Result<Event, Refusal>) -> Told<()> {
        match event {
            Ok(event) => Ok(Ok(self.run.output.write(event)?)),
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
        quantity.try_into().map_err(|reason: String| refused("metric", &name, &reason))?;
    Ok(Event::Metric(event::Metric {
        name,
        // The host has only the script's word for the number, whatever it was made of.
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
        check_unit(unit).map_err(|reason| refused("series", &name, &reason))?;
    }
    Ok(Event::Series(event::Series { name, x, y, points, source: Source::Script }))
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
        return Err(refused("table", &name, &reason));
    }
    Ok(Event::Table(event::Table { name, columns, rows, source: Source::Script }))
}

/// Refuses a name that is not one component of a path, or that a shell would take for something else.
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

/// What a script is told of something that cannot be recorded.
fn refused(what: &str, name: &str, reason: &str) -> Refusal {
    Refusal::InvalidArgument(format!("{what} '{name}' {reason}"))
}
