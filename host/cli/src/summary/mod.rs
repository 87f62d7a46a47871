//! The summary of a run. It fits on a screen or a few, even if the record is large.

pub(crate) mod comparison;
mod energy;
mod group_row;
mod requests;

use crate::untrusted::{cell, line};
use comfy_table::{Attribute, Cell, CellAlignment, Table, presets::NOTHING};
use llem_record::{
    AdapterChange, AdapterRecord, ModelRecord, Parallelism, PhaseRecord, Recovery, RunRecord,
    RunStatus,
};
use std::{
    io::{self, Write},
    path::Path,
};

/// The most rows of a table that are printed.
const ROWS: usize = 100;
/// The most columns of a script's table that are printed.
const COLUMNS: usize = 16;
/// The most tables of a script that are printed.
const TABLES: usize = 10;
/// The most lines of a kind, or parts of one line, that are printed: warnings, models, phases.
const LINES: usize = 20;

/// Prints phases, requests, metrics, warnings, and the folder of the record.
pub(crate) fn print(
    record: &RunRecord,
    folder: Option<&Path>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let status = match record.status {
        RunStatus::Completed => console::style("completed").green(),
        RunStatus::Interrupted => console::style("interrupted").yellow(),
        RunStatus::Killed => console::style("killed").red(),
        RunStatus::Failed | RunStatus::Running => console::style("failed").red(),
    };
    let took = duration(record.wall_ns as f64 * 1e-9);
    writeln!(out, "{} {status} in {took}", bold(&cell(&record.id)))?;
    if record.plan.synthetic_host.is_some() {
        let head = console::style("synthetic host").yellow().bold();
        writeln!(out, "{head} no number of this run was measured: times and energies are given")?;
    }
    if let Some(recovery) = &record.recovered {
        writeln!(out, "{} from its journal: {}", bold("recovered"), recovered(recovery))?;
    }
    let models = record.models.iter().map(model);
    lines(out, bold("model"), "models", models)?;
    // Adapters that were merged or detached during the run are in the record only.
    let is_attached = |adapter: &&AdapterRecord| adapter.change == AdapterChange::Attached;
    let adapters = record.adapters.iter().filter(is_attached).map(adapter);
    lines(out, bold("adapter"), "adapters", adapters)?;
    if !record.phases.is_empty() {
        writeln!(out, "{} {}", bold("phases"), line(&phases(&record.phases)))?;
    }
    requests::print_groups(record, out)?;
    requests::print_scores(record, out)?;
    energy::print_table(record, out)?;
    energy::print_reasons(record, out)?;
    energy::print_metering(record, out)?;
    print_metrics(record, out)?;
    let (tables, more) = split_shown(&record.tables, TABLES);
    for table in tables {
        print_text_table(table, out)?;
    }
    print_left_out(out, more.len(), "tables of the script")?;
    let warning = console::style("warning").yellow().bold();
    lines(out, warning, "warnings", record.warnings.iter().map(String::as_str))?;
    if let Some(folder) = folder {
        writeln!(out, "\n{} {}", bold("record"), line(&folder.to_string_lossy()))?;
    }
    Ok(())
}

fn bold(text: &str) -> console::StyledObject<&str> {
    console::style(text).bold()
}

/// Splits items into those that are printed, at most `most`, and the rest.
fn split_shown<T>(items: &[T], most: usize) -> (&[T], &[T]) {
    items.split_at(items.len().min(most))
}

/// Prints how many items are left out.
fn print_left_out(out: &mut dyn Write, count: usize, what: &str) -> io::Result<()> {
    match count {
        0 => Ok(()),
        count => writeln!(out, "  … {count} more {what} in run.json"),
    }
}

/// Prints one line for each text, each after the same head.
fn lines<T: AsRef<str>>(
    out: &mut dyn Write,
    head: console::StyledObject<&str>,
    what: &str,
    mut texts: impl Iterator<Item = T>,
) -> io::Result<()> {
    for text in texts.by_ref().take(LINES) {
        writeln!(out, "{head} {}", line(text.as_ref()))?;
    }
    print_left_out(out, texts.count(), what)
}

/// How a record was recovered, and what it lacks.
fn recovered(recovery: &Recovery) -> String {
    let mut text = format!("{} lines", recovery.lines);
    if recovery.skipped_lines > 0 {
        text += &format!(", and {} that could not be read", recovery.skipped_lines);
    }
    if !recovery.plan_known {
        text += "; how it was started is not known";
    }
    text
}

fn model(model: &ModelRecord) -> String {
    format!(
        "{}, {} parameters in {} on {}{}, loaded in {}",
        model.source,
        millions(model.parameters),
        model.quantization.as_ref().unwrap_or(&model.dtype),
        model.device,
        split(model),
        duration(model.load_ns as f64 * 1e-9),
    )
}

/// How a model is split over ranks, or nothing if it is not split.
fn split(model: &ModelRecord) -> String {
    let Parallelism { tensor, pipeline, data, experts, .. } = model.parallelism;
    if tensor * pipeline * data == 1 {
        return String::new();
    }
    let experts = if experts { ", experts dealt out" } else { "" };
    format!(" over {} ranks (tp {tensor}, pp {pipeline}, dp {data}{experts})", model.ranks.len())
}

fn adapter(adapter: &AdapterRecord) -> String {
    format!(
        "{}, {}, rank {}, {} parameters, attached in {}",
        adapter.name,
        adapter.source,
        adapter.rank,
        millions(adapter.parameters),
        duration(adapter.wall_ns as f64 * 1e-9),
    )
}

/// The phases by name, each with the total time of all phases of that name.
fn phases(phases: &[PhaseRecord]) -> String {
    let mut sums: Vec<(&str, u64, u32)> = Vec::new();
    let mut more = 0;
    for phase in phases {
        match sums.iter().position(|(name, ..)| *name == phase.phase) {
            Some(place) => {
                sums[place].1 += phase.wall_ns;
                sums[place].2 += 1;
            }
            None if sums.len() < LINES => sums.push((&phase.phase, phase.wall_ns, 1)),
            None => more += 1,
        }
    }
    let texts = sums.iter().map(|&(name, sum, count)| {
        let times = if count > 1 { format!(" ({count} times)") } else { String::new() };
        format!("{} {}{times}", cell(name), duration(sum as f64 * 1e-9))
    });
    let more = (more > 0).then(|| format!("… {more} more phases in run.json"));
    texts.chain(more).collect::<Vec<_>>().join(", ")
}

fn print_metrics(record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
    if record.metrics.is_empty() {
        return Ok(());
    }
    let mut table = plain_table(["metric", "labels", "value", "source"]);
    let (metrics, more) = split_shown(&record.metrics, ROWS);
    for metric in metrics {
        let labels = metric.labels.iter().take(LINES);
        let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
        table.add_row([
            Cell::new(cell(&metric.name)),
            Cell::new(cell(&labels.join(", "))),
            Cell::new(cell(&metric.quantity.to_string())).set_alignment(CellAlignment::Right),
            Cell::new(metric.source()),
        ]);
    }
    writeln!(out, "\n{}\n{}", bold("metrics"), table.trim_fmt())?;
    print_left_out(out, more.len(), "metrics")?;
    writeln!(out, "  ±: one standard uncertainty")
}

/// Prints a table of the script. The host cannot check its content.
fn print_text_table(table: &llem_record::Table, out: &mut dyn Write) -> io::Result<()> {
    let (heads, more_columns) = split_shown(&table.columns, COLUMNS);
    let mut shown = plain_table(heads.iter().map(|head| cell(head)));
    let (rows, more_rows) = split_shown(&table.rows, ROWS);
    for row in rows {
        shown.add_row(row.iter().take(COLUMNS).map(|text| cell(text)));
    }
    let head = format!("table of the script: {}", cell(&table.name));
    writeln!(out, "\n{}\n{}", bold(&head), shown.trim_fmt())?;
    match (more_columns.len(), more_rows.len()) {
        (0, rows) => print_left_out(out, rows, "rows"),
        (columns, 0) => print_left_out(out, columns, "columns"),
        (columns, rows) => print_left_out(out, columns, &format!("columns and {rows} more rows")),
    }
}

fn plain_table<T: Into<String>>(heads: impl IntoIterator<Item = T>) -> Table {
    let mut table = Table::new();
    let heads = heads.into_iter().map(|head| Cell::new(head.into()).add_attribute(Attribute::Dim));
    table.load_preset(NOTHING).set_header(heads);
    table
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.2} s"),
        s => format!("{:.0} min {:.0} s", (s / 60.0).floor(), s % 60.0),
    }
}

fn millions(count: u64) -> String {
    if count < 1_000_000_000 {
        format!("{:.1} M", count as f64 / 1e6)
    } else {
        format!("{:.2} B", count as f64 / 1e9)
    }
}
