//! Labels of points: each stands where it covers no marker and no label that came before.

use super::{
    font,
    scene::{Anchor, Area, Text},
};

/// The most labels of a drawing. More of them hide the points.
const MOST: usize = 40;

/// How far above and below a point its label is tried, beyond the place next to it.
const SHIFTS: [f64; 5] = [0.0, -8.0, 8.0, -16.0, 16.0];

/// The labels of a drawing so far.
pub(super) struct Labels {
    area: Area,
    taken: Vec<Area>,
    placed: usize,
    radius: f64,
}

/// A label, and the line to its point if it does not stand beside it.
pub(super) struct Label {
    pub text: Text,
    pub leader: Option<Vec<(f64, f64)>>,
}

impl Labels {
    /// Begins with the markers of all points, whose diameter is given, and with their error bars and curves in short lines, within
    /// an area.
    pub(super) fn new(
        area: Area,
        markers: &[(f64, f64)],
        bars: &[Vec<(f64, f64)>],
        diameter: f64,
    ) -> Self {
        let radius = diameter / 2.0;
        let around = |points: &[(f64, f64)], reach: f64| {
            let (xs, ys) = (points.iter().map(|of| of.0), points.iter().map(|of| of.1));
            Area {
                left: xs.clone().fold(f64::INFINITY, f64::min) - reach,
                top: ys.clone().fold(f64::INFINITY, f64::min) - reach,
                right: xs.fold(f64::NEG_INFINITY, f64::max) + reach,
                bottom: ys.fold(f64::NEG_INFINITY, f64::max) + reach,
            }
        };
        let markers = markers.iter().map(|place| around(&[*place], radius));
        let taken = markers.chain(bars.iter().map(|bar| around(bar, 0.5))).collect();
        Self { area, taken, placed: 0, radius }
    }

    /// Places a label right, left, above or below a point, or farther with a line to it. `None` if there is no room: the point
    /// keeps its series' name.
    pub(super) fn beside(&mut self, (x, y): (f64, f64), text: &str, size: f64) -> Option<Label> {
        if self.placed == MOST {
            return None;
        }
        let reach = self.radius + 1.5;
        let (width, half) = (font::width(text, size), size / 2.0);
        for shift in SHIFTS {
            let diagonal = (reach + half) * 0.8;
            // The left end and the middle of the text's box for each place.
            let places = [
                (x + reach, y),
                (x - reach - width, y),
                (x + reach, y - diagonal),
                (x + reach, y + diagonal),
                (x - reach - width, y - diagonal),
                (x - reach - width, y + diagonal),
                (x - width / 2.0, y - reach - half),
                (x - width / 2.0, y + reach + half),
            ];
            for (left, middle) in places.map(|(left, middle)| (left, middle + shift)) {
                let (top, bottom) = (middle - half, middle + half);
                let place = Area { left, top, right: left + width, bottom };
                let is_free = !self.taken.iter().any(|taken| taken.overlaps(&place));
                if is_free && self.area.contains(&place) {
                    self.taken.push(place);
                    self.placed += 1;
                    let baseline = middle + size * font::CAPITAL / 2.0;
                    let text = Text::new(text, size, (left, baseline), Anchor::Start);
                    let end = if left > x { left - 0.5 } else { (left + width + 0.5).min(x) };
                    let leader = (shift != 0.0).then(|| vec![(x, y), (end, middle)]);
                    return Some(Label { text, leader });
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cover_neither_markers_nor_each_other() {
        let area = Area { left: 0.0, top: 0.0, right: 100.0, bottom: 100.0 };
        let points = vec![(50.0, 50.0), (52.0, 50.0), (99.0, 99.0)];
        let bars = [vec![(50.0, 30.0), (50.0, 70.0)]];
        let mut labels = Labels::new(area, &points, &bars, 4.0);
        let placed = points.iter().filter_map(|place| labels.beside(*place, "label", 7.0));
        assert_eq!(placed.count(), 3);
        let boxes = &labels.taken;
        for (place, one) in boxes.iter().enumerate().skip(4) {
            assert!(area.contains(one));
            assert!(!boxes[..place].iter().any(|other| other.overlaps(one)), "{one:?}");
        }
        assert!(labels.beside((50.0, 50.0), &"wide".repeat(20), 7.0).is_none());
    }
}
