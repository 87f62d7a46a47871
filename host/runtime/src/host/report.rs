//! `report.wit`: all that a script says, to the journal at once.

use super::types::{Answer, check_unit};
use crate::{
    bindings::{report, types::Error},
    sha256::sha256,
    state::State,
};
use llem_quantity::{Quantity, Source};
use llem_record::{Event, event};
use wasmtime::component::Resource;

/// A phase that a script has open, by its depth among the open ones.
pub struct OpenPhase {
    depth: usize,
}

/// Longest name of a phase, metric or artifact, in bytes.
const NAME_LIMIT: usize = 200;

impl report::Host for State {
    fn show_progress(&mut self, done: u64, total: u64, label: String) -> wasmtime::Result<()> {
        self.run.output.observer().progress(done, total, &label);
        Ok(())
    }

    fn log(&mut self, level: report::Level, message: String) -> wasmtime::Result<()> {
        self.run.output.charge(message.len())?;
        self.run.output.write(Event::Log { level: level.name().to_owned(), message })
    }

    fn add_metric(&mut self, metric: report::Metric) -> Answer<()> {
        if let Err(error) = check_name("metric", &metric.name) {
            return Ok(Err(error));
        }
        let quantity: Quantity = match metric.quantity.try_into() {
            Ok(quantity) => quantity,
            Err(reason) => return Ok(Err(refused("metric", &metric.name, &reason))),
        };
        let labels: usize =
            metric.labels.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.run.output.charge(metric.name.len() + quantity.unit.len() + labels)?;
        // The host has only the script's word for the number, whatever it was made of.
        let claimed_source = Some(quantity.source);
        self.run.output.write(Event::Metric(event::Metric {
            name: metric.name,
            quantity: Quantity { source: Source::Script, ..quantity },
            claimed_source,
            labels: metric.labels.into_iter().collect(),
        }))?;
        Ok(Ok(()))
    }

    fn add_series(&mut self, series: report::Series) -> Answer<()> {
        if let Err(error) = check_name("series", &series.name) {
            return Ok(Err(error));
        }
        if series.points.iter().any(|(x, y)| !(x.is_finite() && y.is_finite())) {
            return Ok(Err(Error::InvalidArgument(format!(
                "series '{}' holds a point that is no number",
                series.name
            ))));
        }
        for (_, unit) in [&series.x, &series.y] {
            if let Err(reason) = check_unit(unit) {
                return Ok(Err(refused("series", &series.name, &reason)));
            }
        }
        self.run
            .output
            .charge(series.name.len() + series.points.len() * size_of::<(f64, f64)>())?;
        self.run.output.write(Event::Series(event::Series {
            name: series.name,
            x: series.x,
            y: series.y,
            points: series.points,
            source: Source::Script,
        }))?;
        Ok(Ok(()))
    }

    fn add_table(&mut self, table: report::Table) -> Answer<()> {
        if let Err(error) = check_name("table", &table.name) {
            return Ok(Err(error));
        }
        if let Some(row) = table.rows.iter().position(|row| row.len() != table.columns.len()) {
            return Ok(Err(Error::InvalidArgument(format!(
                "table '{}' has {} columns, but row {row} has {} cells",
                table.name,
                table.columns.len(),
                table.rows[row].len()
            ))));
        }
        self.run.output.charge(table.rows.iter().flatten().map(String::len).sum())?;
        self.run.output.write(Event::Table(event::Table {
            name: table.name,
            columns: table.columns,
            rows: table.rows,
            source: Source::Script,
        }))?;
        Ok(Ok(()))
    }

    fn write_artifact(&mut self, name: String, content: Vec<u8>) -> Answer<()> {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
        if let Err(error) = check_name("artifact", &name) {
            return Ok(Err(error));
        }
        if !plain || name.starts_with('.') {
            return Ok(Err(Error::InvalidArgument(format!(
                "artifact '{name}': a name is letters, digits, '.', '-' and '_', and does not begin with '.'"
            ))));
        }
        self.run.output.charge(content.len())?;
        let path = match self.run.output.artifact(&name, &content)? {
            Ok(path) => path,
            Err(reason) => return Ok(Err(Error::InvalidArgument(reason))),
        };
        self.run.output.write(Event::Artifact(event::Artifact {
            path,
            bytes: content.len() as u64,
            digest: sha256(&content),
        }))?;
        Ok(Ok(()))
    }

    fn warn(&mut self, message: String) -> wasmtime::Result<()> {
        self.run.output.charge(message.len())?;
        self.run.output.write(Event::ScriptWarning { message })
    }
}

impl report::HostPhase for State {
    fn begin(&mut self, name: String) -> Answer<Resource<OpenPhase>> {
        if let Err(error) = check_name("phase", &name) {
            return Ok(Err(error));
        }
        self.run.output.charge(name.len())?;
        let depth = self.run.begin_phase(name)?;
        Ok(Ok(self.hand_out(OpenPhase { depth })?))
    }

    fn end(&mut self, phase: Resource<OpenPhase>) -> Answer<()> {
        let depth = self.table.delete(phase)?.depth;
        self.run.end_phases(depth)?;
        Ok(Ok(()))
    }

    fn drop(&mut self, phase: Resource<OpenPhase>) -> wasmtime::Result<()> {
        let depth = self.table.delete(phase)?.depth;
        self.run.end_phases(depth)
    }
}

impl crate::state::Run {
    /// Begins a phase within the open ones and returns its depth.
    pub fn begin_phase(&self, name: String) -> wasmtime::Result<usize> {
        let now = self.clock.now();
        let depth = {
            let mut progress = self.progress();
            progress.phases.push((name, now));
            progress.phases.len() - 1
        };
        self.output.write(Event::PhaseBegan { phase: self.phase_path() })?;
        Ok(depth)
    }

    /// Ends the phase at `depth` and all within it, the innermost first.
    pub fn end_phases(&self, depth: usize) -> wasmtime::Result<()> {
        while self.progress().phases.len() > depth {
            let phase = self.phase_path();
            let began = self.progress().phases.pop().map_or(0, |(_, began)| began);
            let wall_ns = self.clock.now() - began;
            self.output.write(Event::PhaseEnded { phase, wall_ns })?;
        }
        Ok(())
    }
}

impl report::Level {
    /// Its name in WIT.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

fn check_name(what: &str, name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > NAME_LIMIT {
        return Err(Error::InvalidArgument(format!("a {what}'s name has 1 to {NAME_LIMIT} bytes")));
    }
    Ok(())
}

/// What a script is told of something that cannot be recorded.
fn refused(what: &str, name: &str, reason: &str) -> Error {
    Error::InvalidArgument(format!("{what} '{name}' {reason}"))
}
