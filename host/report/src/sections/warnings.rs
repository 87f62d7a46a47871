//! Warnings: everything that a reader must know before the numbers. The same sentence of several runs stands once.

use crate::{
    document::{Block, Level, Section, Warning},
    run::LoadedRun,
    visible::visible,
};
use llem_quantity::ReadingRecord;
use llem_record::RunStatus;
use std::collections::BTreeMap;

fn all_warnings(runs: &[LoadedRun], names: &[String]) -> Vec<Warning> {
    let mut all: Vec<Warning> = Vec::new();
    let mut places: BTreeMap<(Level, String), usize> = BTreeMap::new();
    for (run, name) in runs.iter().zip(names) {
        for (level, text) in of_run(run) {
            let text = visible(&text);
            let place = *places.entry((level, text.clone())).or_insert_with(|| {
                all.push(Warning { runs: Vec::new(), level, text });
                all.len() - 1
            });
            let of = &mut all[place].runs;
            if of.last() != Some(name) {
                of.push(name.clone());
            }
        }
    }
    all.sort_by_key(|warning| warning.level);
    all
}

pub(super) fn section(runs: &[LoadedRun], names: &[String]) -> Section {
    let mut section = Section::new("warnings", "Warnings");
    let warnings = all_warnings(runs, names);
    section.blocks.push(match warnings.is_empty() {
        true => Block::Text("The record has no warnings, and no energy is missing.".to_owned()),
        false => Block::Warnings(warnings),
    });
    section
}

fn of_run(run: &LoadedRun) -> Vec<(Level, String)> {
    let record = &run.record;
    let mut found = Vec::new();
    let error = record.error.as_deref().unwrap_or("no reason is recorded");
    match record.status {
        RunStatus::Completed => {}
        RunStatus::Running => found.push((Level::Failure, "The run has not ended.".to_owned())),
        RunStatus::Failed => found.push((Level::Failure, format!("The run failed: {error}"))),
        RunStatus::Interrupted => {
            found.push((Level::Failure, "The run was interrupted.".to_owned()))
        }
        RunStatus::Killed => found.push((Level::Failure, format!("The run was killed: {error}"))),
    }
    if let Some(recovery) = record.recovered.as_ref().filter(|recovery| recovery.skipped_lines > 0)
    {
        let lost =
            format!("{} lines of the journal could not be recovered.", recovery.skipped_lines);
        found.push((Level::Warning, lost));
    }
    found.extend(run.notes.iter().map(|note| (Level::Warning, note.clone())));
    for warning in &record.warnings {
        match warning.strip_prefix("the script: ") {
            Some(text) => found.push((Level::Script, text.to_owned())),
            None => found.push((Level::Warning, warning.clone())),
        }
    }
    for window in &record.windows {
        let label = &window.label;
        let warnings = window.warnings.iter();
        found.extend(
            warnings.map(|text| (Level::Warning, format!("in the window {label}: {text}"))),
        );
        for lack in &window.energy_lacks {
            let text = format!("energy lacks {} {}: {}", lack.device, lack.domain, lack.reason);
            found.push((Level::Absent, text));
        }
    }
    let readings = record.groups.iter().map(|group| &group.energy);
    let readings = readings.chain(record.windows.iter().map(|window| &window.energy_total));
    for reading in readings {
        if let ReadingRecord::Unavailable { unavailable, .. } = reading {
            found.push((Level::Absent, format!("energy is not known: {unavailable}")));
        }
    }
    found
}
