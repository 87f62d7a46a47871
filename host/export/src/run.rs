//! A run that is exported.

use crate::{error::Error, journal::Journal, measured::Measured, name};
use llem_quantity::{Reading, Source, Unavailable};
use llem_record::{RunRecord, RunStatus};
use llem_report::{LoadedRun, visible_part};
use std::path::Path;

/// A run that is exported: its record and what its journal adds. Nothing in its folder is changed.
pub struct ExportedRun {
    pub(crate) loaded: LoadedRun,
    pub(crate) journal: Journal,
    /// What was measured, or why there is no one sum of it.
    pub(crate) measured: Result<Measured, Unavailable>,
}

impl ExportedRun {
    /// Reads a run. `path` is the run's folder, or its `run.json`. A run that was killed or still goes on is exported as far as
    /// its journal tells.
    ///
    /// # Errors
    /// The path does not belong to a run, a file cannot be read, or the record is of a schema that is not known.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let loaded = LoadedRun::open(path)?;
        let journal = Journal::read(loaded.folder())?;
        let measured = Measured::new(&loaded.record().windows, &journal);
        Ok(Self { loaded, journal, measured })
    }

    pub(crate) fn record(&self) -> &RunRecord {
        self.loaded.record()
    }

    /// Returns this many hexadecimal digits that identify the run in other tools. They depend only on the run's name and its
    /// beginning, so a second export of a run has the same.
    pub(crate) fn key(&self, digits: usize) -> String {
        let record = self.record();
        name::digest(&["run", &record.id, &record.started_at], digits)
    }

    /// Returns the name of the experiment, for people.
    pub(crate) fn experiment(&self) -> String {
        let components = &self.record().plan.components;
        let named = components.iter().find(|component| component.role.contains("experiment"));
        let named = named.or(components.iter().find(|component| !component.is_shipped));
        named.map_or_else(|| "llem".to_owned(), |component| visible_part(&component.name, 100))
    }

    /// Returns the run's name for people, which says `simulated` if the run is.
    pub(crate) fn title(&self) -> String {
        let id = visible_part(&self.record().id, 200);
        if self.is_simulated() { format!("simulated: {id}") } else { id }
    }

    /// Returns true if the run is no measurement: it ran on a synthetic host, or an energy was read from a double of hardware.
    pub(crate) fn is_simulated(&self) -> bool {
        let is_simulated =
            |reading: Reading| reading.is_ok_and(|energy| energy.source == Source::Simulated);
        let record = self.record();
        let groups = record.groups.iter().map(|group| &group.energy);
        let scores = record.score_groups.iter().map(|group| &group.energy);
        let windows = record.windows.iter().flat_map(|window| &window.energy);
        let mut energies = groups.chain(scores).chain(windows.map(|domain| &domain.energy));
        record.plan.synthetic_host.is_some()
            || energies.any(|energy| is_simulated(energy.reading()))
    }

    /// Returns when the run began, ms since 1970-01-01 UTC. `None` if the record does not tell.
    pub(crate) fn started_ms(&self) -> Option<i64> {
        let moment: jiff::Timestamp = self.record().started_at.parse().ok()?;
        Some(moment.as_millisecond())
    }

    /// Returns the moment of the run that is `t_ns` after its beginning, ms since 1970-01-01 UTC.
    pub(crate) fn moment_ms(&self, t_ns: u64) -> Option<i64> {
        self.started_ms()?.checked_add_unsigned(t_ns / 1_000_000)
    }

    /// Returns when the run began, or the error that `tool` demands it.
    pub(crate) fn demand_start(&self, tool: &'static str) -> Result<i64, Error> {
        self.started_ms().ok_or_else(|| Error::Lacks {
            run: self.title(),
            number: "moment at which it began",
            tool,
            reason: "its journal lost its first line and run.json is gone; leave the run out"
                .to_owned(),
        })
    }

    /// Returns what a reader of the run's numbers must know, in sentences: that they are simulated, how the run ended, and its
    /// warnings.
    pub(crate) fn notes(&self) -> Vec<String> {
        let record = self.record();
        let mut notes = Vec::new();
        if self.is_simulated() {
            notes.push("simulated: the energies, or all of the run, were not measured".to_owned());
        }
        if record.status != RunStatus::Completed {
            let why = record.error.as_deref().unwrap_or("the journal has no end of the run");
            notes.push(format!("the run is not complete: {}", visible_part(why, 500)));
        }
        notes.extend(record.warnings.iter().map(|warning| visible_part(warning, 500)));
        notes
    }
}
