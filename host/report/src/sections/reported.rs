//! What the scripts reported: results, curves and tables. The host cannot check them, and each is marked as a script's.

use super::text;
use crate::{
    charts::{Axis, Chart, Drawing, Series, Style},
    document::{Block, Cell, Section, Table},
    number::{Mark, Number},
    run::LoadedRun,
    visible::{visible, visible_part},
};
use llem_record::Metric;

/// The most curves that are drawn, points of a curve, tables, and rows of a script's table. The rest is in run.json.
const CURVES: usize = 12;
const POINTS: usize = 2_000;
const TABLES: usize = 12;
const ROWS: usize = 100;

pub(super) fn section(runs: &[LoadedRun], names: &[String]) -> Section {
    let mut section = Section::new("reported", "Reported by the script");
    if runs.iter().any(|run| !run.record.metrics.is_empty()) {
        section.blocks.push(Block::Table(metrics(runs, names)));
    }
    let curves = runs.iter().zip(names);
    let curves =
        curves.flat_map(|(run, name)| run.record.series.iter().map(move |curve| (curve, name)));
    let count = curves.clone().count();
    for (place, (curve, name)) in curves.take(CURVES).enumerate() {
        let (x, y) = (axis(&curve.x), axis(&curve.y));
        let points = curve.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        let points: Vec<(f64, f64)> = points.copied().take(POINTS).collect();
        let of = if runs.len() > 1 { format!(" of {name}") } else { String::new() };
        let title = format!("{}{of}", visible_part(&curve.name, 60));
        let more = match curve.points.len() - points.len() {
            0 => String::new(),
            count => format!(" {count} further points are in run.json."),
        };
        let caption = format!(
            "A curve that the script reported, with {} points; the host cannot check it.{more}",
            points.len()
        );
        let (uncertainties, labels) = (Vec::new(), Vec::new());
        let series = Series {
            name: visible_part(&curve.name, 60),
            style: Style::Line,
            look: 0,
            points,
            uncertainties,
            labels,
        };
        let drawing = Drawing::Plot { x, y, series: vec![series] };
        let id = format!("reported-{}", place + 1);
        section.blocks.push(Block::Chart(Box::new(Chart::new(id, title, caption, drawing))));
    }
    if count > CURVES {
        section.blocks.push(text(format!("{} further curves are in the records.", count - CURVES)));
    }
    let tables = runs.iter().zip(names);
    let tables =
        tables.flat_map(|(run, name)| run.record.tables.iter().map(move |table| (table, name)));
    let count = tables.clone().count();
    for (place, (table, name)) in tables.take(TABLES).enumerate() {
        let of = if runs.len() > 1 { format!(" of {name}") } else { String::new() };
        let more = match table.rows.len().saturating_sub(ROWS) {
            0 => String::new(),
            count => format!("; {count} further rows are in run.json"),
        };
        let caption = format!("{}{of}, a table of the script{more}", visible_part(&table.name, 60));
        let mut shown = Table::new(&format!("reported-table-{}", place + 1), caption);
        for column in &table.columns {
            shown = shown.column(&visible(column));
        }
        let row = |row: &Vec<String>| row.iter().map(|cell| Cell::Text(visible(cell))).collect();
        shown.rows = table.rows.iter().take(ROWS).map(row).collect();
        section.blocks.push(Block::Table(shown));
    }
    if count > TABLES {
        section.blocks.push(text(format!("{} further tables are in the records.", count - TABLES)));
    }
    section
}

fn axis((name, unit): &(String, String)) -> Axis {
    Axis {
        name: visible_part(name, 40),
        unit: visible_part(&unit.replace(['{', '}'], ""), 20),
        is_log: false,
        factor: 1.0,
    }
}

/// Returns a metric as a number of a script.
pub(super) fn number(metric: &Metric) -> Number {
    let mut number = Number::from(&metric.quantity);
    number.source = metric.source();
    number.unit = visible_part(&number.unit, 40);
    // A record before schema 3.0 has the source that the script claims in place of `script`.
    number.mark = Some(Mark::Script);
    number
}

/// Returns the labels of a metric as text.
pub(super) fn labels(metric: &Metric) -> String {
    let labels =
        metric.labels.iter().map(|(name, value)| format!("{}={}", visible(name), visible(value)));
    labels.collect::<Vec<_>>().join(", ")
}

fn metrics(runs: &[LoadedRun], names: &[String]) -> Table {
    let mut table =
        Table::new("metrics", "Results that the script reported, which the host cannot check");
    table = table
        .column("metric")
        .column("labels")
        .column("run")
        .column("value")
        .column("claimed source");
    for (run, name) in runs.iter().zip(names) {
        for metric in &run.record.metrics {
            let run = if runs.len() > 1 { Cell::Text(name.clone()) } else { Cell::Empty };
            let labels = labels(metric);
            let labels = if labels.is_empty() { Cell::Empty } else { labels.into() };
            let claimed = metric.claimed_source.map(|source| source.to_string());
            table.rows.push(vec![
                visible(&metric.name).into(),
                labels,
                run,
                number(metric).into(),
                claimed.into(),
            ]);
        }
    }
    table.without_empty_columns()
}
