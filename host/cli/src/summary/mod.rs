//! The end of a run, at a glance.

mod energy;

use comfy_table::{Cell, CellAlignment, Table, presets::NOTHING};
use llem_quantity::{Quantity, significant};
use llem_record::{
    Distribution, RunRecord, Status,
    event::{AdapterChange, ModelRecord, Parallelism},
    schema::{Phase, Recovery},
};
use std::path::Path;

/// Prints phases, requests, metrics, warnings, and where the record is.
pub fn print(record: &RunRecord, folder: Option<&Path>) {
    let status = match record.status {
        Status::Completed => console::style("completed").green(),
        Status::Interrupted => console::style("interrupted").yellow(),
        Status::Killed => console::style("killed").red(),
        Status::Failed | Status::Running => console::style("failed").red(),
    };
    let bold = |text: &str| console::style(text.to_owned()).bold();
    println!("{} {status} in {}", bold(&record.id), duration(record.wall_ns as f64 * 1e-9));
    if let Some(recovery) = &record.recovered {
        println!("{} from its journal: {}", bold("recovered"), recovered(recovery));
    }
    for model in &record.models {
        println!(
            "{} {}, {} parameters in {} on {}{}, loaded in {}",
            bold("model"),
            model.source,
            millions(model.parameters),
            model.quantization.as_ref().unwrap_or(&model.dtype),
            model.device,
            split(model),
            duration(model.load_ns as f64 * 1e-9),
        );
    }
    for adapter in &record.adapters {
        // What was merged and detached on the way stands in the record.
        if adapter.change == AdapterChange::Attached {
            println!(
                "{} {}, {}, rank {}, {} parameters, attached in {}",
                bold("adapter"),
                adapter.name,
                adapter.source,
                adapter.rank,
                millions(adapter.parameters),
                duration(adapter.wall_ns as f64 * 1e-9),
            );
        }
    }
    if !record.phases.is_empty() {
        println!("{} {}", bold("phases"), phases(&record.phases));
    }
    print_groups(record);
    print_scores(record);
    energy::print_table(record);
    let generated = record.groups.iter().map(|group| &group.energy);
    energy::print_reasons(generated.chain(record.score_groups.iter().map(|group| &group.energy)));
    energy::print_metering(record);
    if !record.metrics.is_empty() {
        println!("\n{}", bold("metrics"));
        println!("{}", metrics(record));
        println!("  ±: one standard uncertainty");
    }
    for table in &record.tables {
        // The host has only the script's word for what stands in it.
        let head = format!("table of the script: {}", table.name);
        println!("\n{}\n{}", bold(&head), text_table(table).trim_fmt());
    }
    for warning in &record.warnings {
        println!("{} {warning}", console::style("warning").yellow().bold());
    }
    if let Some(folder) = folder {
        println!("\n{} {}", bold("record"), folder.display());
    }
}

/// How a record was rebuilt, and what it lacks.
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

/// How a model is split, where it is.
fn split(model: &ModelRecord) -> String {
    let Parallelism { tensor, pipeline, data, experts, .. } = model.parallelism;
    if tensor * pipeline * data == 1 {
        return String::new();
    }
    let experts = if experts { ", experts dealt out" } else { "" };
    format!(" over {} ranks (tp {tensor}, pp {pipeline}, dp {data}{experts})", model.ranks.len())
}

/// Phases by name, with what those of one name took together.
fn phases(phases: &[Phase]) -> String {
    let mut sums: Vec<(&str, u64, u32)> = Vec::new();
    for phase in phases {
        match sums.iter_mut().find(|(name, ..)| *name == phase.phase) {
            Some((_, sum, count)) => {
                *sum += phase.wall_ns;
                *count += 1;
            }
            None => sums.push((&phase.phase, phase.wall_ns, 1)),
        }
    }
    let texts = sums.iter().map(|&(name, sum, count)| {
        let times = if count > 1 { format!(" ({count} times)") } else { String::new() };
        format!("{name} {}{times}", duration(sum as f64 * 1e-9))
    });
    texts.collect::<Vec<_>>().join(", ")
}

/// Requests by phase and label. Warm-up is shown too: that it differs is what it is for.
fn print_groups(record: &RunRecord) {
    if record.groups.is_empty() {
        return;
    }
    let mut table = plain_table([
        "phase",
        "requests",
        "n",
        "prompt tok",
        "output tok",
        "TTFT ms",
        "ITL ms",
        "TPOT ms",
        "prefill tok/s",
        "decode tok/s",
        "J/token",
        "energy of",
        "energy by",
    ]);
    for group in &record.groups {
        let numbers = [
            group.requests.to_string(),
            group.activity.prompt_tokens.to_string(),
            group.activity.output_tokens.to_string(),
            milliseconds(group.ttft_s.as_ref()),
            milliseconds(group.itl_s.as_ref()),
            milliseconds(group.tpot_s.as_ref()),
            rate(group.prefill_rate.as_ref()),
            rate(group.decode_rate.as_ref()),
            energy::energy(&group.energy_per_output_token),
            energy::covered(&group.energy_covers),
            energy::energy_source(&group.energy),
        ];
        table.add_row(group_row(&group.phase, &label(record, &group.label, group.model), numbers));
    }
    println!("\n{}\n{}", console::style("requests").bold(), table.trim_fmt());
    println!("  latencies: median, 99th percentile");
}

/// A group's label, with its model where there are several.
fn label(record: &RunRecord, label: &str, model: Option<u64>) -> String {
    match model.filter(|_| record.models.len() > 1) {
        Some(model) => format!("{label}, model {model}"),
        None => label.to_owned(),
    }
}

/// A group's row: its phase and label, then its numbers.
fn group_row<const N: usize>(phase: &str, label: &str, numbers: [String; N]) -> Vec<Cell> {
    let phase = if phase.is_empty() { "-" } else { phase };
    let numbers = numbers.map(|number| Cell::new(number).set_alignment(CellAlignment::Right));
    [Cell::new(phase), Cell::new(label)].into_iter().chain(numbers).collect()
}

/// Scoring by phase and kind.
fn print_scores(record: &RunRecord) {
    if record.score_groups.is_empty() {
        return;
    }
    let mut table = plain_table([
        "phase",
        "scoring",
        "calls",
        "requests",
        "tok run",
        "tok scored",
        "run tok/s",
        "scored tok/s",
        "J/token run",
        "energy of",
        "energy by",
    ]);
    for group in &record.score_groups {
        let numbers = [
            group.calls.to_string(),
            group.requests.to_string(),
            group.activity.prompt_tokens.to_string(),
            group.scored_tokens.to_string(),
            rate(group.prefill_rate.as_ref()),
            rate(group.score_rate.as_ref()),
            energy::energy(&group.energy_per_token),
            energy::covered(&group.energy_covers),
            energy::energy_source(&group.energy),
        ];
        table.add_row(group_row(&group.phase, &label(record, &group.label, group.model), numbers));
    }
    println!("\n{}\n{}", console::style("scores").bold(), table.trim_fmt());
}

fn metrics(record: &RunRecord) -> String {
    let mut table = plain_table(["metric", "labels", "value", "source"]);
    for metric in &record.metrics {
        let labels: Vec<String> =
            metric.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        table.add_row([
            Cell::new(&metric.name),
            Cell::new(labels.join(", ")),
            Cell::new(metric.quantity.to_string()).set_alignment(CellAlignment::Right),
            Cell::new(metric.source()),
        ]);
    }
    table.trim_fmt()
}

/// A table of the script.
fn text_table(table: &llem_record::event::Table) -> Table {
    let mut shown = plain_table(table.columns.iter().map(String::as_str));
    for row in &table.rows {
        shown.add_row(row);
    }
    shown
}

fn plain_table<'a>(heads: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(
        heads.into_iter().map(|head| Cell::new(head).add_attribute(comfy_table::Attribute::Dim)),
    );
    table
}

fn milliseconds(distribution: Option<&Distribution>) -> String {
    distribution.map_or_else(
        || "-".to_owned(),
        |times| format!("{} {}", significant(times.p50 * 1e3), significant(times.p99 * 1e3)),
    )
}

fn rate(rate: Option<&Quantity>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| significant(rate.value))
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
