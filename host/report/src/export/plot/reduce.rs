//! Reduces curves to what a print can show, so that a million samples make a small file.

/// The width of a column, points: half of the thinnest curve.
const COLUMN: f64 = 0.4;

/// The most points of a curve that goes to and fro, whose columns cannot be joined.
const MOST: usize = 20_000;

/// Keeps the first, lowest, highest and last of successive points in one column of the drawing (Jugel et al., "M4", VLDB
/// 2014). Points are in the drawing's lengths, so this holds for each scale.
pub(super) fn reduced(points: impl Iterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
    let mut kept: Vec<(f64, f64)> = Vec::new();
    let mut column = PixelColumn::default();
    for point in points {
        let number = (point.0 / COLUMN).floor() as i64;
        if column.number != Some(number) {
            column.push_to(&mut kept);
            column = PixelColumn { number: Some(number), points: [(0, point); 4], count: 0 };
        }
        column.add(point);
    }
    column.push_to(&mut kept);
    let step = kept.len().div_ceil(MOST).max(1);
    kept.into_iter().step_by(step).collect()
}

/// The points of a column: first, lowest, highest and last, each with its place.
#[derive(Default)]
struct PixelColumn {
    number: Option<i64>,
    points: [(usize, (f64, f64)); 4],
    count: usize,
}

impl PixelColumn {
    fn add(&mut self, point: (f64, f64)) {
        let [_, lowest, highest, last] = &mut self.points;
        let here = (self.count, point);
        if point.1 < lowest.1.1 {
            *lowest = here;
        }
        if point.1 > highest.1.1 {
            *highest = here;
        }
        *last = here;
        self.count += 1;
    }

    fn push_to(&self, kept: &mut Vec<(f64, f64)>) {
        if self.number.is_none() {
            return;
        }
        let mut points = self.points;
        points.sort_by_key(|(place, _)| *place);
        let mut before = None;
        for (place, point) in points {
            if before != Some(place) {
                kept.push(point);
            }
            before = Some(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_samples_keep_their_peaks() {
        let wave = |at: usize| match at {
            123_456 => 90.0,
            765_432 => -80.0,
            at => (at as f64 * 0.01).sin(),
        };
        let points = reduced((0..1_000_000).map(|at| (at as f64 * 2e-4, wave(at))));
        assert!(points.len() <= 4 * 501, "{}", points.len());
        assert!(points.iter().any(|point| point.1 == 90.0));
        assert!(points.iter().any(|point| point.1 == -80.0));
        assert!(points.is_sorted_by(|one, next| one.0 <= next.0));
    }

    #[test]
    fn few_points_are_kept_as_they_are() {
        let points = [(0.0, 1.0), (5.0, 2.0), (5.0, 0.0), (3.0, 4.0)];
        assert_eq!(reduced(points.into_iter()), points);
        assert_eq!(reduced([].into_iter()), []);
    }

    #[test]
    fn a_curve_that_goes_to_and_fro_is_bounded() {
        let points =
            reduced((0..1_000_000).map(|at| (f64::from(at % 2) * 100.0, f64::from(at % 7))));
        assert!(points.len() <= MOST);
    }
}
