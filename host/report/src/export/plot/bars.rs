//! Drawings of stacked horizontal bars: energy by configuration, shares of a batch.

use super::{
    Drawn, font,
    frame::{END, Ruler, SMALL, X_AXIS},
    legend::{self, Entry, Sample},
    look::{SOFT, TEXT, WHITE, look},
    scale::Scale,
    scene::{Anchor, Area, Fill, Paint, Shape, Stroke, Text},
};
use crate::charts::{Axis, BarSeries};

/// Height of a bar and its share of a row, and the same of many bars.
const ROW: f64 = 14.0;
const LOW_ROW: f64 = 9.5;
const MANY: usize = 24;

/// The part of the width that names may take.
const NAMES: f64 = 0.42;

/// Half the height of the line at a whisker's end.
const CAP: f64 = 1.8;

/// The distance of two lines of a hatching.
const HATCH: f64 = 3.0;

/// Draws bars within a width.
pub(super) fn draw(
    categories: &[String],
    x: &Axis,
    series: &[BarSeries],
    totals: &[Option<(f64, f64)>],
    width: f64,
) -> Option<Drawn> {
    let mut shapes = Vec::new();
    let entries: Vec<Entry<'_>> = series
        .iter()
        .map(|series| Entry {
            name: &series.name,
            look: look(series.look),
            sample: Sample::Box(series.look),
        })
        .collect();
    let top = legend::draw(&mut shapes, &entries, width) + 1.0;
    let row = if categories.len() > MANY { LOW_ROW } else { ROW };
    let known = |place: usize| {
        series.iter().filter_map(move |series| series.values.get(place).copied().flatten())
    };
    let ends = (0..categories.len()).map(|place| {
        let reach = totals.get(place).copied().flatten().map_or(0.0, |(sum, of)| sum + of);
        known(place).sum::<f64>().max(reach)
    });
    let scale = Scale::around(ends.chain([0.0]), false)?.padded(0.03);
    let names: Vec<String> =
        categories.iter().map(|name| font::fitted(name, SMALL, width * NAMES)).collect();
    let left = names.iter().map(|name| font::width(name, SMALL)).fold(0.0, f64::max) + 5.0;
    let bottom = top + row * categories.len() as f64 + 2.0;
    let area = Area { left, top, right: width - END, bottom };
    let ruler = Ruler::new(&x.name, &x.unit, scale, (area.width() / 42.0) as usize);
    ruler.draw_below(&mut shapes, area, true);
    let at = |value: f64| area.left + scale.share(value).clamp(0.0, 1.0) * area.width();
    for (place, name) in names.into_iter().enumerate() {
        let middle = top + row * (place as f64 + 0.5) + 1.0;
        let baseline = middle + SMALL * font::CAPITAL / 2.0;
        shapes.push(Text::new(name, SMALL, (left - 4.0, baseline), Anchor::End).into());
        let half = row * 0.34;
        let mut sum = 0.0;
        for series in series {
            let Some(value) = series.values.get(place).copied().flatten() else { continue };
            let from = at(sum);
            sum += value;
            let bar =
                Area { left: from, top: middle - half, right: at(sum), bottom: middle + half };
            shapes.push(Shape::area(bar, Paint::from(Fill::new(look(series.look).color))));
            hatch(&mut shapes, bar, series.look);
        }
        match totals.get(place).copied().flatten() {
            Some((total, reach)) if reach > 0.0 && reach.is_finite() => {
                let ends = [at(total - reach), at(total + reach)];
                push_whisker(&mut shapes, ends, middle);
            }
            None if known(place).next().is_none() => {
                let absent = Text::new("not known", SMALL, (left + 3.0, baseline), Anchor::Start);
                shapes.push(absent.colored(SOFT).into());
            }
            _ => {}
        }
    }
    Some(Drawn { shapes, height: bottom + X_AXIS })
}

fn push_whisker(shapes: &mut Vec<Shape>, [from, to]: [f64; 2], y: f64) {
    let cap = |x: f64| vec![(x, y - CAP), (x, y + CAP)];
    let lines = vec![vec![(from, y), (to, y)], cap(from), cap(to)];
    // A light line below keeps the whisker visible on a dark bar.
    shapes.push(Shape::lines(lines.clone(), Stroke::new(WHITE, 1.8)));
    shapes.push(Shape::lines(lines, Stroke::new(TEXT, 0.8)));
}

/// Draws the hatching of a series over a box: none, rising or falling lines, so that the parts of a bar differ without colour.
pub(super) fn hatch(shapes: &mut Vec<Shape>, area: Area, look: usize) {
    let kind = look % 3;
    if kind == 0 {
        return;
    }
    let Area { left, top, right, bottom } = area;
    let height = area.height();
    let mut lines = Vec::new();
    // Each line begins at the bottom, as far left as its top end still reaches the box. Lines of neighbours are in step.
    let mut foot = ((left - height) / HATCH).ceil() * HATCH;
    while foot < right {
        let [from, to] = [foot.max(left), (foot + height).min(right)];
        if from < to {
            let rise = |x: f64| x - foot;
            let y = |x: f64| if kind == 1 { bottom - rise(x) } else { top + rise(x) };
            lines.push(vec![(from, y(from)), (to, y(to))]);
        }
        foot += HATCH;
    }
    if !lines.is_empty() {
        shapes.push(Shape::lines(lines, Stroke::new([0xdd; 3], 0.5)));
    }
}
