//! The report for a terminal: warnings, tables, bars of energies and sparklines of the timeline.

use super::{plain_cell, plain_head};
use crate::{
    charts::{Chart, Drawing},
    document::{Block, Cell, Level, Report, Table},
    visible::{visible, visible_part},
};
use llem_quantity::significant;
use unicode_width::UnicodeWidthStr;

/// Columns of a bar and of a sparkline.
const BAR: usize = 40;

/// The most columns of a cell, and rows of a table or chart.
const CELL: usize = 36;
const ROWS: usize = 30;

/// The heights of a sparkline's signs.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Sections that a terminal has no room for; the page has them.
const LEFT_OUT: [&str; 2] = ["numbers", "method"];

/// Writes the report.
pub(super) fn render(report: &Report) -> String {
    let mut text = format!("{}\n", visible(&report.title));
    for section in report.sections.iter().filter(|section| !LEFT_OUT.contains(&section.id)) {
        text += &format!("\n{}\n", section.title.to_uppercase());
        for block in &section.blocks {
            match block {
                Block::Text(words) => text += &format!("  {}\n", visible(words)),
                Block::Warnings(warnings) => {
                    for warning in warnings {
                        let word = match warning.level {
                            Level::Failure => "failed",
                            Level::Warning => "warning",
                            Level::Absent => "not known",
                            Level::Script => "script",
                        };
                        text += &format!("  {word}: {}\n", visible(&warning.text));
                    }
                }
                Block::Figures(_) => {}
                Block::Table(table) => text += &table_text(table),
                Block::Chart(chart) => text += &chart_text(chart),
                Block::Code { text: code, .. } => text += &format!("  {}\n", visible(code)),
            }
        }
    }
    text
}

fn table_text(table: &Table) -> String {
    let units = table.shown_units();
    let mut lines: Vec<Vec<String>> = Vec::new();
    let heads = table
        .columns
        .iter()
        .zip(&units)
        .map(|(column, unit)| visible_part(&plain_head(column, unit.as_ref()), CELL));
    lines.push(heads.collect());
    for row in table.rows.iter().take(ROWS) {
        let cells = row
            .iter()
            .zip(&units)
            .map(|(cell, unit)| visible_part(&plain_cell(cell, unit.as_ref()), CELL));
        lines.push(cells.collect());
    }
    let width = |place: usize| {
        lines.iter().filter_map(|line| line.get(place)).map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    let is_number =
        |place: usize| table.rows.iter().any(|row| matches!(row.get(place), Some(Cell::Number(_))));
    let mut text = format!("  {}\n", visible(&table.caption));
    for line in &lines {
        let mut shown = String::from("   ");
        for (place, cell) in line.iter().enumerate() {
            let pad = " ".repeat(widths[place] - cell.width());
            shown +=
                &if is_number(place) { format!(" {pad}{cell} ") } else { format!(" {cell}{pad} ") };
        }
        text += shown.trim_end();
        text.push('\n');
    }
    let more = table.rows.len().saturating_sub(ROWS);
    if more > 0 {
        text += &format!("    and {more} more rows\n");
    }
    text
}

fn chart_text(chart: &Chart) -> String {
    match &chart.drawing {
        Drawing::Bars { categories, x, series, totals } => {
            let longest = totals.iter().flatten().map(|(total, _)| *total).fold(0.0, f64::max);
            let names: Vec<String> =
                categories.iter().take(ROWS).map(|name| visible_part(name, CELL)).collect();
            let width = names.iter().map(|name| name.width()).max().unwrap_or(0);
            let parts =
                series.iter().zip(FILLS).map(|(part, fill)| format!("{fill} {}", part.name));
            let mut text = format!(
                "  {} / {}: {}\n",
                visible(&chart.title),
                x.unit,
                parts.collect::<Vec<_>>().join(", ")
            );
            for (place, name) in names.iter().enumerate() {
                let mut bar = String::new();
                for (part, fill) in series.iter().zip(FILLS) {
                    let share = part.values[place].unwrap_or(0.0) / longest.max(f64::MIN_POSITIVE);
                    bar.extend(std::iter::repeat_n(fill, (share * BAR as f64).round() as usize));
                }
                let total =
                    totals[place].map_or_else(|| "–".to_owned(), |(total, _)| significant(total));
                text += &format!("    {name}{} {bar} {total}\n", " ".repeat(width - name.width()));
            }
            text
        }
        Drawing::Timeline { panels, .. } => {
            let mut text = format!("  {}\n", visible(&chart.title));
            for panel in panels {
                for line in &panel.lines {
                    let (low, high) = line
                        .values
                        .iter()
                        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
                            (low.min(*value), high.max(*value))
                        });
                    let name = visible_part(&format!("{} of {}", panel.name, line.name), CELL);
                    let [from, to] = [low, high].map(|value| significant(f64::from(value)));
                    text += &format!(
                        "    {name:<CELL$} {} {from} to {to} {}\n",
                        sparkline(&line.times, &line.values),
                        panel.unit
                    );
                }
            }
            text
        }
        Drawing::Plot { .. } => String::new(),
    }
}

/// The signs of a bar's parts.
const FILLS: [char; 3] = ['█', '░', '▒'];

/// Returns the means of equal spans of time as signs from the lowest to the highest sample. A span without samples is empty.
fn sparkline(times: &[f64], values: &[f32]) -> String {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return String::new() };
    let span = (last - first).max(f64::MIN_POSITIVE);
    let mut sums = [(0.0f64, 0u32); BAR];
    for (time, value) in times.iter().zip(values) {
        let place = (((time - first) / span * BAR as f64) as usize).min(BAR - 1);
        sums[place] = (sums[place].0 + f64::from(*value), sums[place].1 + 1);
    }
    let means = sums.map(|(sum, count)| (count > 0).then(|| sum / f64::from(count)));
    let low = means.iter().flatten().copied().fold(f64::INFINITY, f64::min);
    let high = means.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
    let sign = |mean: &Option<f64>| {
        mean.map_or(' ', |mean| {
            let share = if high > low { (mean - low) / (high - low) } else { 0.0 };
            HEIGHTS[(share * 7.0).round() as usize]
        })
    };
    means.iter().map(sign).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_rises_with_its_samples() {
        let times: Vec<f64> = (0..400).map(f64::from).collect();
        let values: Vec<f32> = times.iter().map(|time| *time as f32).collect();
        let line: Vec<char> = sparkline(&times, &values).chars().collect();
        assert_eq!((line.len(), line[0], line[BAR - 1]), (BAR, '▁', '█'));
        assert!(line.is_sorted());
    }
}
