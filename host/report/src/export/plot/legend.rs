//! The legend above a drawing: a sample and the name of each series, in rows.

use super::{
    font,
    frame::SMALL,
    look::{LINE, Look},
    scene::{Anchor, Area, Fill, Paint, Shape, Text},
};

/// Width of a line or a box, and of a marker alone.
const SAMPLE: f64 = 17.0;
const MARKER: f64 = 5.0;
/// Room between a sample and its name.
const GAP: f64 = 3.5;
/// Room between two entries.
const BETWEEN: f64 = 11.0;
const ROW: f64 = 10.5;
/// The longest name.
const LONGEST: f64 = 190.0;

/// An entry of a legend.
pub(super) struct Entry<'a> {
    pub name: &'a str,
    pub look: Look,
    pub sample: Sample,
}

/// What an entry shows beside its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sample {
    Line {
        has_marker: bool,
    },
    Marker,
    /// A filled box with the hatching of this number.
    Box(usize),
}

/// Draws a legend from the top of a drawing down, within a width. Returns its height.
pub(super) fn draw(shapes: &mut Vec<Shape>, entries: &[Entry<'_>], width: f64) -> f64 {
    let (mut x, mut top) = (0.0, 0.0);
    for entry in entries {
        let sample = if entry.sample == Sample::Marker { MARKER } else { SAMPLE };
        let most = LONGEST.min(width - sample - GAP);
        let name = font::fitted(entry.name, SMALL, most);
        let reach = sample + GAP + font::width(&name, SMALL);
        if x > 0.0 && x + reach > width {
            (x, top) = (0.0, top + ROW);
        }
        let middle = top + ROW / 2.0;
        draw_sample(shapes, entry, (x, middle));
        let baseline = middle + SMALL * font::CAPITAL / 2.0;
        shapes.push(Text::new(name, SMALL, (x + sample + GAP, baseline), Anchor::Start).into());
        x += reach + BETWEEN;
    }
    if entries.is_empty() { 0.0 } else { top + ROW + 3.0 }
}

fn draw_sample(shapes: &mut Vec<Shape>, entry: &Entry<'_>, (left, middle): (f64, f64)) {
    let look = entry.look;
    let center = (left + SAMPLE / 2.0, middle);
    let line = || Shape::line(vec![(left, middle), (left + SAMPLE, middle)], look.stroke(LINE));
    match entry.sample {
        Sample::Line { has_marker } => {
            shapes.push(line());
            if has_marker {
                shapes.push(look.marker(center, 4.0));
            }
        }
        Sample::Marker => shapes.push(look.marker((left + MARKER / 2.0, middle), 4.5)),
        Sample::Box(hatching) => {
            let area = Area {
                left: left + 3.0,
                top: middle - 3.0,
                right: left + SAMPLE,
                bottom: middle + 3.0,
            };
            shapes.push(Shape::area(area, Paint::from(Fill::new(look.color))));
            super::bars::hatch(shapes, area, hatching);
        }
    }
}
