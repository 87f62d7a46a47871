//! The data of a chart as tables, for readers who do not see the drawing.

use crate::{
    charts::{Chart, Drawing, SpanKind},
    document::{Cell, Table},
};
use llem_quantity::significant;

/// The most points of a series in a table: of a longer one, points at equal distances are listed.
const POINTS: usize = 25;

/// Returns the tables of a chart.
pub(super) fn tables(chart: &Chart) -> Vec<Table> {
    let id = |part: &str| format!("{}-{part}", chart.id);
    let with_unit = |name: &str, unit: &str| match unit {
        "" => name.to_owned(),
        unit => format!("{name}, {unit}"),
    };
    match &chart.drawing {
        Drawing::Plot { x, y, series } => {
            let mut table = Table::new(&id("points"), format!("Points of: {}", chart.title))
                .column("series")
                .column("point");
            table = table.column(&with_unit(&x.name, &x.unit)).column(&with_unit(&y.name, &y.unit));
            for series in series {
                let count = series.points.len();
                let step = count.div_ceil(POINTS).max(1);
                let places = (0..count).filter(|place| place % step == 0 || place + 1 == count);
                for place in places {
                    let (x, y) = series.points[place];
                    let label = series.labels.get(place).map(|label| label.as_str().into());
                    table.rows.push(vec![
                        series.name.as_str().into(),
                        label.unwrap_or(Cell::Empty),
                        significant(x).into(),
                        significant(y).into(),
                    ]);
                }
            }
            vec![table.without_empty_columns()]
        }
        Drawing::Bars { categories, x, series, totals } => {
            let mut table =
                Table::new(&id("bars"), format!("Bars of: {}, {}", chart.title, x.unit))
                    .column("bar");
            for series in series {
                table = table.column(&series.name);
            }
            table = table.column("sum").column("standard uncertainty");
            for (place, category) in categories.iter().enumerate() {
                let shown = |value: Option<f64>| -> Cell { value.map(significant).into() };
                let parts = series.iter().map(|series| shown(series.values[place]));
                let total = totals[place];
                let sums = [shown(total.map(|(sum, _)| sum)), shown(total.map(|(_, of)| of))];
                let first = std::iter::once(category.as_str().into());
                table.rows.push(first.chain(parts).chain(sums).collect());
            }
            vec![table]
        }
        Drawing::Timeline { panels, spans, .. } => {
            let mut lines = Table::new(&id("lines"), format!("Lines of: {}", chart.title));
            for name in ["panel", "line", "samples", "lowest", "mean", "highest", "unit", "from"] {
                lines = lines.column(name);
            }
            for panel in panels {
                for line in &panel.lines {
                    let (mut low, mut high, mut sum) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
                    for &value in &line.values {
                        let value = f64::from(value);
                        (low, high, sum) = (low.min(value), high.max(value), sum + value);
                    }
                    lines.rows.push(vec![
                        panel.name.as_str().into(),
                        line.name.as_str().into(),
                        line.values.len().to_string().into(),
                        significant(low).into(),
                        significant(sum / line.values.len().max(1) as f64).into(),
                        significant(high).into(),
                        panel.unit.as_str().into(),
                        line.source.as_str().into(),
                    ]);
                }
            }
            let mut times =
                Table::new(&id("spans"), format!("Phases and windows of: {}", chart.title));
            times = times.column("kind").column("name").column("from, s").column("to, s");
            for span in spans {
                let kind = match span.kind {
                    SpanKind::Phase => "phase",
                    SpanKind::Window => "window",
                    SpanKind::Throttled => "held back",
                };
                times.rows.push(vec![
                    kind.into(),
                    span.name.as_str().into(),
                    significant(span.from).into(),
                    significant(span.to).into(),
                ]);
            }
            if times.rows.is_empty() { vec![lines] } else { vec![lines, times] }
        }
    }
}
