//! The sections of a report, in their order. Each file makes one section.

mod ecdf;
mod energy;
mod latency;
mod method;
mod numbers;
mod pareto;
mod reported;
mod roofline;
mod serving;
mod shares;
mod summary;
mod timeline;
mod warnings;

use crate::{
    configuration::{UsedNames, configurations, unique},
    document::{Block, Report},
    peaks::DevicePeaks,
    run::LoadedRun,
    visible::visible_part,
};

/// Makes the sections of a report.
pub(crate) fn report(runs: &[LoadedRun], peaks: &[DevicePeaks]) -> Report {
    let names = names(runs);
    let configurations = configurations(runs, &names);
    let sections = vec![
        warnings::section(runs, &names),
        summary::section(runs, &names, &configurations),
        timeline::section(runs, &names),
        latency::section(&configurations),
        serving::section(&configurations),
        roofline::section(&configurations, peaks),
        energy::section(&configurations),
        shares::section(runs, &names),
        pareto::section(&configurations),
        reported::section(runs, &names),
        numbers::section(runs, &names),
        method::section(runs, &names),
        method::repeat(runs, &names),
    ];
    let title = match &names[..] {
        [name] => name.clone(),
        names => format!("{} runs side by side", names.len()),
    };
    Report {
        title,
        version: env!("CARGO_PKG_VERSION"),
        runs: names,
        record_links: Vec::new(),
        sections: sections.into_iter().filter(|section| !section.blocks.is_empty()).collect(),
    }
}

/// Returns a name for each run: its id, and a number if two runs have the same.
fn names(runs: &[LoadedRun]) -> Vec<String> {
    let mut used = UsedNames::new();
    let name = |run: &LoadedRun| {
        let id = if run.record.id.is_empty() { "run" } else { &run.record.id };
        unique(visible_part(id, 48), &mut used)
    };
    runs.iter().map(name).collect()
}

fn text(text: impl Into<String>) -> Block {
    Block::Text(text.into())
}
