//! Drawings of curves and points over two axes: distributions, rates, roofs and fronts.

use super::{
    Drawn, font,
    frame::{END, NORMAL, Ruler, SMALL, X_AXIS},
    labels::Labels,
    legend::{self, Entry, Sample},
    look::{AXIS, LINE, look},
    reduce::reduced,
    scale::Scale,
    scene::{Area, Shape, Stroke},
};
use crate::charts::{Axis, Series, Style};

/// The most points of a step curve that each have a marker.
const MARKED_STEPS: usize = 30;
/// The most points of a line that each have a marker.
const MARKED: usize = 60;
/// The markers of a curve with more points.
const FEW_MARKERS: usize = 7;

/// The most points of a drawing whose points have labels: more would be a cloud of text.
const LABELLED: usize = 100;

/// Diameter of a marker, and of one on a curve of steps.
const MARKER: f64 = 4.5;
const SMALL_MARKER: f64 = 3.2;

/// Half the length of the line at the end of an error bar.
const CAP: f64 = 1.6;

/// Length of the pieces of a curve that labels do not cover.
const PIECE: f64 = 4.0;

/// The line from a point to its label.
const LEADER: Stroke = Stroke::new(AXIS, 0.4);

/// Room above the highest number.
const TOP: f64 = 4.0;

/// Draws curves within a width. `has_plain_lines` tells whether lines are roofs, whose corners are no measured points.
pub(super) fn draw(
    (x, y): (&Axis, &Axis),
    series: &[Series],
    has_plain_lines: bool,
    width: f64,
) -> Option<Drawn> {
    let mut shapes = Vec::new();
    let entries = series.iter().map(|series| Entry {
        name: &series.name,
        look: look(series.look),
        sample: match series.style {
            Style::Points => Sample::Marker,
            style => Sample::Line { has_marker: style == Style::Step || !has_plain_lines },
        },
    });
    let entries: Vec<Entry<'_>> = entries.filter(|_| series.len() > 1).collect();
    let top = legend::draw(&mut shapes, &entries, width).max(TOP);
    let height = (width * 0.56).min(200.0);
    let x_scale = Scale::around(reaches(series, 0), x.is_log)?.padded(0.03);
    let y_scale = match series.iter().all(|series| series.style == Style::Step) {
        // Steps are distributions, which go from none to all values.
        true => Scale::between(0.0, 1.0, false),
        false => Scale::around(reaches(series, 1), y.is_log)?.padded(0.06),
    };
    let rows = (height / 24.0) as usize;
    let y_ruler = Ruler::new(&y.name, &y.unit, y_scale, rows);
    let left = y_ruler.width();
    let area = Area { left, top, right: width - END, bottom: top + height };
    let x_ruler = Ruler::new(&x.name, &x.unit, x_scale, (area.width() / 42.0) as usize);
    x_ruler.draw_below(&mut shapes, area, true);
    y_ruler.draw_beside(&mut shapes, area);
    y_ruler.draw_upward_name(&mut shapes, area);
    let frame = Frame { area, x: x_scale, y: y_scale };
    for series in series {
        let bars = frame.error_bars(series);
        if !bars.is_empty() {
            shapes.push(Shape::lines(bars, Stroke::new(look(series.look).color, 0.7)));
        }
    }
    series.iter().for_each(|series| frame.push_curve(&mut shapes, series));
    series.iter().for_each(|series| frame.push_markers(&mut shapes, series, has_plain_lines));
    frame.push_labels(&mut shapes, series);
    Some(Drawn { shapes, height: area.bottom + X_AXIS })
}

/// Returns all values of an axis, 0 for x and 1 for y, with the ends of their uncertainties.
fn reaches(series: &[Series], axis: usize) -> impl Iterator<Item = f64> + Clone {
    let pick = move |(x, y): (f64, f64)| if axis == 0 { x } else { y };
    series.iter().flat_map(move |series| {
        series.points.iter().enumerate().flat_map(move |(place, point)| {
            let value = pick(*point);
            let reach = series.uncertainties.get(place).map_or(0.0, |reach| pick(*reach));
            let reach = if reach.is_finite() { reach } else { 0.0 };
            [value, value - reach, value + reach]
        })
    })
}

/// An area with the scales of its axes.
struct Frame {
    area: Area,
    x: Scale,
    y: Scale,
}

impl Frame {
    /// Returns the place of a point. `None` if one of its values cannot be drawn.
    fn at(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let shares = (self.x.share(x), self.y.share(y));
        let is_inside = |share: f64| (-1e-6..=1.0 + 1e-6).contains(&share);
        (is_inside(shares.0) && is_inside(shares.1)).then(|| self.place(shares))
    }

    fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.area.left + x * self.area.width(), self.area.bottom - y * self.area.height())
    }

    fn push_curve(&self, shapes: &mut Vec<Shape>, series: &Series) {
        let points = series.points.iter().filter_map(|point| self.at(*point));
        let line = match series.style {
            Style::Points => return,
            Style::Line => reduced(points),
            Style::Step => {
                let mut last: Option<f64> = None;
                reduced(points.flat_map(move |(x, y)| {
                    let before = last.replace(y).unwrap_or(y);
                    [(x, before), (x, y)]
                }))
            }
        };
        if line.len() > 1 {
            shapes.push(Shape::line(line, look(series.look).stroke(LINE)));
        }
    }

    fn push_markers(&self, shapes: &mut Vec<Shape>, series: &Series, has_plain_lines: bool) {
        let (most, diameter) = match series.style {
            Style::Line if has_plain_lines => return,
            Style::Line => (MARKED, MARKER),
            Style::Step => (MARKED_STEPS, SMALL_MARKER),
            Style::Points => (usize::MAX, MARKER),
        };
        // The first point of steps is the foot of the first one.
        let foot = usize::from(series.style == Style::Step);
        let count = series.points.len().saturating_sub(foot);
        let step = if count > most { count.div_ceil(FEW_MARKERS) } else { 1 };
        let look = look(series.look);
        let mut last = None;
        for point in series.points.iter().skip(foot + step / 2).step_by(step) {
            let Some(place) = self.at(*point) else { continue };
            // Points in the same place need one marker.
            let rounded = ((place.0 * 4.0) as i64, (place.1 * 4.0) as i64);
            if last.replace(rounded) != Some(rounded) {
                shapes.push(look.marker(place, diameter));
            }
        }
    }

    /// Returns the standard uncertainty of each point as a bar in each direction, with the lines at its ends.
    fn error_bars(&self, series: &Series) -> Vec<Vec<(f64, f64)>> {
        let mut lines = Vec::new();
        for (&(x, y), &(ux, uy)) in series.points.iter().zip(&series.uncertainties) {
            if self.at((x, y)).is_none() {
                continue;
            }
            // A bar that a logarithmic scale cannot hold goes to the scale's end.
            let ends = |scale: &Scale, value: f64, reach: f64| {
                [value - reach, value + reach].map(|end| scale.share(end).clamp(0.0, 1.0))
            };
            if ux.is_finite() && ux > 0.0 {
                let y = self.y.share(y);
                let [from, to] = ends(&self.x, x, ux).map(|x| self.place((x, y)));
                lines.push(vec![from, to]);
                lines.extend([from, to].map(|(x, y)| vec![(x, y - CAP), (x, y + CAP)]));
            }
            if uy.is_finite() && uy > 0.0 {
                let x = self.x.share(x);
                let [from, to] = ends(&self.y, y, uy).map(|y| self.place((x, y)));
                lines.push(vec![from, to]);
                lines.extend([from, to].map(|(x, y)| vec![(x - CAP, y), (x + CAP, y)]));
            }
        }
        lines
    }

    /// Cuts a curve into short pieces, whose boxes cover little more than the curve.
    fn pieces(&self, series: &Series) -> Vec<Vec<(f64, f64)>> {
        let places: Vec<_> = series.points.iter().filter_map(|point| self.at(*point)).collect();
        let mut pieces = Vec::new();
        for ends in places.windows(2) {
            let [(x1, y1), (x2, y2)] = [ends[0], ends[1]];
            let count = ((x2 - x1).hypot(y2 - y1) / PIECE).ceil().max(1.0) as usize;
            let at = |number: usize| {
                let share = number as f64 / count as f64;
                (x1 + share * (x2 - x1), y1 + share * (y2 - y1))
            };
            pieces.extend((0..count).map(|number| vec![at(number), at(number + 1)]));
        }
        pieces
    }

    /// Writes the labels of points beside them, where they cover no marker, no curve and no other label.
    fn push_labels(&self, shapes: &mut Vec<Shape>, series: &[Series]) {
        if series.iter().all(|series| series.labels.is_empty()) {
            return;
        }
        let points = series.iter().flat_map(|series| &series.points);
        let places: Vec<(f64, f64)> = points.filter_map(|point| self.at(*point)).collect();
        if places.len() > LABELLED {
            return;
        }
        let bars = series.iter().flat_map(|series| self.error_bars(series));
        let lines = series.iter().filter(|series| series.style == Style::Line);
        let pieces = lines.flat_map(|series| self.pieces(series));
        let mut labels =
            Labels::new(self.area, &places, &bars.chain(pieces).collect::<Vec<_>>(), MARKER);
        for series in series {
            for (point, label) in series.points.iter().zip(&series.labels) {
                let Some(place) = self.at(*point) else { continue };
                let most = (self.area.width() * 0.45).max(NORMAL);
                let text = font::fitted(label, SMALL, most);
                let Some(label) = labels.beside(place, &text, SMALL) else { continue };
                shapes.extend(label.leader.map(|line| Shape::line(line, LEADER)));
                shapes.push(label.text.into());
            }
        }
    }
}
