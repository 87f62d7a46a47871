//! The method: components, parameters, models, data and machine, with their digests; and how to repeat a run.

use super::text;
use crate::{
    document::{Block, Cell, Section, Table},
    run::LoadedRun,
    visible::visible,
};
use llem_record::RunRecord;
use std::collections::BTreeMap;

/// Facts of a run by name, in their order.
type Facts = Vec<(String, Cell)>;

pub(super) fn section(runs: &[LoadedRun], names: &[String]) -> Section {
    let mut section = Section::new("method", "Method");
    let all: Vec<Facts> = runs.iter().map(|run| facts(&run.record)).collect();
    let mut order: Vec<&String> = Vec::new();
    let mut places = BTreeMap::new();
    for (name, _) in all.iter().flatten() {
        places.entry(name).or_insert_with(|| {
            order.push(name);
            order.len()
        });
    }
    let cell = |facts: &Facts, name: &str| {
        facts.iter().find(|(of, _)| of == name).map_or(Cell::Empty, |(_, cell)| cell.clone())
    };
    let differs = |name: &&&String| {
        let first = cell(&all[0], name);
        all.iter().any(|facts| cell(facts, name) != first)
    };
    let (different, same): (Vec<&String>, Vec<&String>) =
        order.iter().partition(|name| differs(name));
    if runs.len() > 1 {
        section.blocks.push(Block::Table(differences(&all, names, &different, cell)));
    }
    let caption =
        if runs.len() > 1 { "What is the same in all runs" } else { "The method of the run" };
    let mut table = Table::new("method", caption).column("fact").column("value");
    let kept = if runs.len() > 1 { same } else { order };
    table.rows =
        kept.into_iter().map(|name| vec![name.as_str().into(), cell(&all[0], name)]).collect();
    section.blocks.push(Block::Table(table));
    section
}

/// The most facts in which runs differ that are shown.
const DIFFERENCES: usize = 40;

fn differences(
    all: &[Facts],
    names: &[String],
    different: &[&String],
    cell: impl Fn(&Facts, &str) -> Cell,
) -> Table {
    let mut table = Table::new("differences", "Where the runs differ").column("run");
    for name in different.iter().take(DIFFERENCES) {
        table = table.column(name);
    }
    for (facts, run) in all.iter().zip(names) {
        let cells = different.iter().take(DIFFERENCES).map(|name| cell(facts, name));
        table.rows.push(std::iter::once(run.as_str().into()).chain(cells).collect());
    }
    table
}

fn facts(record: &RunRecord) -> Facts {
    let mut facts = Facts::new();
    let plan = &record.plan;
    let mut add = |name: String, cell: Cell| facts.push((name, cell));
    for component in &plan.components {
        let shipped = if component.is_shipped { ", shipped with llem" } else { "" };
        let text = format!("{} {}{shipped}", component.name, component.version);
        add(visible(&component.role), visible(&text).into());
        add(format!("digest of the {}", visible(&component.role)), mono(&component.digest));
    }
    for (name, value) in &plan.parameters {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        add(format!("parameter {}", visible(name)), mono(&value));
    }
    add("seed".to_owned(), mono(&plan.seed.to_string()));
    for (place, model) in record.models.iter().enumerate() {
        let of = if record.models.len() > 1 { format!(" {place}") } else { String::new() };
        add(format!("model{of}"), mono(&model.source));
        add(format!("digest of the model{of}"), mono(&model.digest));
        let split = &model.parallelism;
        let format = model.quantization.as_ref().unwrap_or(&model.dtype);
        let text = format!("{}, {format}, on {}", model.architecture, model.device);
        add(format!("kind of the model{of}"), visible(&text).into());
        if split.tensor * split.pipeline * split.data > 1 {
            let text = format!(
                "tensor {}, pipeline {}, data {}",
                split.tensor, split.pipeline, split.data
            );
            add(format!("ranks of the model{of}"), text.into());
        }
    }
    for dataset in &plan.grants.datasets {
        add(format!("dataset {}", visible(&dataset.name)), mono(&dataset.file));
        add(format!("digest of the dataset {}", visible(&dataset.name)), mono(&dataset.digest));
    }
    let host = &plan.host;
    add("system".to_owned(), visible(&host.system).into());
    add("processor".to_owned(), visible(&host.cpu).into());
    if let Some(bytes) = host.memory_bytes {
        add("memory".to_owned(), format!("{:.1} GB", bytes as f64 * 1e-9).into());
    }
    add("threads of the engine".to_owned(), host.threads.to_string().into());
    add("instruction set".to_owned(), visible(&host.simd).into());
    for device in &record.devices {
        let gauges = device.gauges.iter().map(|gauge| match (&gauge.source, &gauge.unavailable) {
            (Some(source), _) => format!("{} by {source}", gauge.domain),
            (None, Some(reason)) => format!("{} not metered: {reason}", gauge.domain),
            (None, None) => format!("{} not metered", gauge.domain),
        });
        let gauges = gauges.collect::<Vec<_>>().join(", ");
        add(
            format!("device {}", visible(&device.id)),
            visible(&format!("{}; {gauges}", device.name)).into(),
        );
        for (name, value) in &device.settings {
            add(visible(&format!("{} {name}", device.id)), visible(value).into());
        }
    }
    if let Some(metering) = &plan.metering {
        add(
            "time between readings".to_owned(),
            format!("{} ms", metering.sample_period_ns as f64 * 1e-6).into(),
        );
        if let Some(model) = &metering.power_model {
            let text = format!("{} W busy, {} W idle", model.tdp_watts, model.idle_watts);
            add("declared power model".to_owned(), text.into());
        }
    }
    for (name, value) in &plan.environment {
        add(format!("variable {}", visible(name)), mono(value));
    }
    for (name, value) in &plan.limits {
        add(format!("limit {}", visible(name)), value.to_string().into());
    }
    let build = &plan.build;
    let modified = if build.is_modified == Some(true) { ", with changes" } else { "" };
    let revision = build.revision.as_deref().unwrap_or("unknown");
    add(
        "llem".to_owned(),
        visible(&format!("{} at revision {revision}{modified}", plan.llem_version)).into(),
    );
    add("compiler".to_owned(), visible(&format!("{}, {}", build.rustc, build.profile)).into());
    add("schema of the record".to_owned(), visible(&record.schema_version).into());
    facts
}

fn mono(text: &str) -> Cell {
    Cell::Mono(visible(text))
}

/// Makes the section that says how to repeat a run.
pub(super) fn repeat(runs: &[LoadedRun], names: &[String]) -> Section {
    let mut repeat = Section::new("repeat", "How to repeat");
    repeat.blocks.push(text(
        "Run the same command with the same version of llem. The digests above say whether component, model and data are the same: llem inspect prints a component's, and run.json of the new run has all of them. With the same seed, the same build and the same number of threads the tokens are the same; times and energies differ by their spread.",
    ));
    for (run, name) in runs.iter().zip(names) {
        let command = run.record.plan.command.iter().map(|word| quoted(word));
        let command = command.collect::<Vec<_>>().join(" ");
        let missing = command.is_empty();
        repeat.blocks.push(match missing {
            true => text(format!("The command line of {name} is not recorded.")),
            false => {
                Block::Code { caption: format!("The command of {name}"), text: visible(&command) }
            }
        });
    }
    repeat
}

/// Quotes a word for a POSIX shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_word_with_signs_of_the_shell_is_quoted() {
        assert_eq!(quoted("--model=a/b"), "--model=a/b");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
