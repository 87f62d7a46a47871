//! The frame of a drawing: axes with ticks, numbers, names and a grid.

use super::{
    font,
    look::{AXIS, GRID, SOFT, TEXT},
    scale::{Scale, Tick, Ticks},
    scene::{Anchor, Area, Run, Shape, Stroke, Text, width_of},
};

/// Size of numbers at ticks, and of legends. Journals ask for at least 6 or 7 points.
pub(super) const SMALL: f64 = 7.0;
/// Size of names of axes.
pub(super) const NORMAL: f64 = 7.5;

const TICK: f64 = 2.5;
const SMALL_TICK: f64 = 1.4;
/// Room between a tick and its number, and between numbers and a name.
const GAP: f64 = 2.5;

const AXIS_LINE: Stroke = Stroke::new(AXIS, 0.6);
const GRID_LINE: Stroke = Stroke::new(GRID, 0.4);

/// Room right of an area, for half of the last number.
pub(super) const END: f64 = 9.0;

/// The room that a horizontal axis takes below its line.
pub(super) const X_AXIS: f64 = TICK + GAP + SMALL + GAP + NORMAL + 1.0;

/// An axis of a frame: its scale, ticks and name.
pub(super) struct Ruler {
    pub scale: Scale,
    ticks: Vec<Tick>,
    name: Vec<Run>,
}

impl Ruler {
    /// Makes an axis with about `count` numbers.
    pub(super) fn new(name: &str, unit: &str, scale: Scale, count: usize) -> Self {
        let Ticks { ticks, power } = scale.ticks(count.max(2));
        Self { scale, ticks, name: name_of(name, unit, power) }
    }

    /// The room that a vertical axis takes left of its line, with its name beside it.
    pub(super) fn width(&self) -> f64 {
        self.numbers_width() + NORMAL + 2.0 * GAP
    }

    /// The room that a vertical axis takes left of its line, without its name.
    pub(super) fn numbers_width(&self) -> f64 {
        let widths = self.ticks.iter().map(|tick| width_of(&tick.label, SMALL));
        widths.fold(0.0, f64::max) + TICK + GAP
    }

    fn numbered(&self) -> impl Iterator<Item = &Tick> {
        self.ticks.iter().filter(|tick| !tick.label.is_empty())
    }

    /// Returns the name, with the unit.
    pub(super) fn name(&self) -> Vec<Run> {
        self.name.clone()
    }

    /// Returns the name, shortened to a length if it has no power of ten.
    fn fitted_name(&self, most: f64) -> Vec<Run> {
        match &self.name[..] {
            [only] => vec![Run::plain(font::fitted(&only.text, NORMAL, most))],
            _ => self.name(),
        }
    }

    /// Draws the axis below an area, with lines of the grid through it. Numbers and a name are left out on an axis that has
    /// another of the same scale below it.
    pub(super) fn draw_below(&self, shapes: &mut Vec<Shape>, area: Area, has_numbers: bool) {
        let at = |value| area.left + self.scale.share(value) * area.width();
        let Area { top, bottom, .. } = area;
        let grid = self.numbered().map(|tick| at(tick.value)).map(|x| vec![(x, top), (x, bottom)]);
        shapes.push(Shape::lines(grid.collect(), GRID_LINE));
        let mut lines = vec![vec![(area.left, bottom), (area.right, bottom)]];
        for tick in &self.ticks {
            let x = at(tick.value);
            lines.push(vec![(x, bottom), (x, bottom + tick.length())]);
        }
        shapes.push(Shape::lines(lines, AXIS_LINE));
        // Numbers do not touch, and stay within the drawing.
        let mut free = f64::NEG_INFINITY;
        for tick in self.numbered().filter(|_| has_numbers) {
            let x = at(tick.value);
            let half = width_of(&tick.label, SMALL) / 2.0;
            if x - half > free {
                let place = (x, bottom + TICK + GAP + SMALL * font::CAPITAL);
                let text = Text::of_runs(tick.label.clone(), SMALL, place, Anchor::Middle);
                shapes.push(text.colored(SOFT).into());
                free = x + half + 3.0;
            }
        }
        if has_numbers {
            // A name may be wider than the axis, but not than the drawing.
            let end = area.right + END;
            let name = self.fitted_name(end);
            let half = width_of(&name, NORMAL) / 2.0;
            let x = ((area.left + area.right) / 2.0).min(end - half).max(half);
            let place = (x, bottom + X_AXIS - NORMAL * (1.0 - font::CAPITAL));
            shapes.push(Text::of_runs(name, NORMAL, place, Anchor::Middle).into());
        }
    }

    /// Draws the axis left of an area, with lines of the grid through it.
    pub(super) fn draw_beside(&self, shapes: &mut Vec<Shape>, area: Area) {
        let at = |value| area.bottom - self.scale.share(value) * area.height();
        let Area { left, right, .. } = area;
        let grid = self.numbered().map(|tick| at(tick.value)).map(|y| vec![(left, y), (right, y)]);
        shapes.push(Shape::lines(grid.collect(), GRID_LINE));
        let mut lines = vec![vec![(left, area.top), (left, area.bottom)]];
        for tick in &self.ticks {
            let y = at(tick.value);
            lines.push(vec![(left - tick.length(), y), (left, y)]);
        }
        shapes.push(Shape::lines(lines, AXIS_LINE));
        let mut free = f64::INFINITY;
        for tick in self.numbered() {
            let y = at(tick.value);
            let half = SMALL * font::CAPITAL / 2.0;
            if y + half < free {
                let place = (left - TICK - GAP, y + half);
                let text = Text::of_runs(tick.label.clone(), SMALL, place, Anchor::End);
                shapes.push(text.colored(SOFT).into());
                free = y - half - 1.5;
            }
        }
    }

    /// Draws the name of a vertical axis, upwards, left of its numbers.
    pub(super) fn draw_upward_name(&self, shapes: &mut Vec<Shape>, area: Area) {
        let x = area.left - self.width() + NORMAL * font::CAPITAL + 1.0;
        let place = (x, (area.top + area.bottom) / 2.0);
        let name = self.fitted_name(area.height() + 2.0 * GAP);
        let text = Text::of_runs(name, NORMAL, place, Anchor::Middle);
        shapes.push(text.colored(TEXT).upward().into());
    }
}

impl Tick {
    fn length(&self) -> f64 {
        if self.label.is_empty() { SMALL_TICK } else { TICK }
    }
}

/// Writes the name of an axis as `name / unit`, with the power of ten by which the numbers are multiplied.
fn name_of(name: &str, unit: &str, power: i32) -> Vec<Run> {
    if power == 0 {
        let text = match unit {
            "" => name.to_owned(),
            // A quotient has brackets, because a second solidus would be ambiguous (ISO 80000-1, 7.1.4).
            unit if unit.contains('/') => format!("{name} / ({unit})"),
            unit => format!("{name} / {unit}"),
        };
        return vec![Run::plain(text)];
    }
    let exponent = Run::raised(power.to_string().replace('-', "\u{2212}"));
    if unit.is_empty() {
        return vec![Run::plain(format!("{name} / 10")), exponent];
    }
    vec![Run::plain(format!("{name} / (10")), exponent, Run::plain(format!(" {unit})"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_unit_and_the_power_of_ten() {
        let name = |unit, power| {
            let runs = name_of("Rate", unit, power);
            runs.iter().map(|run| run.text.as_str()).collect::<String>()
        };
        assert_eq!(name("", 0), "Rate");
        assert_eq!(name("ms", 0), "Rate / ms");
        assert_eq!(name("token/s", 0), "Rate / (token/s)");
        assert_eq!(name("token/s", 6), "Rate / (106 token/s)");
        assert_eq!(name("", -6), "Rate / 10\u{2212}6");
    }
}
