//! A drawing as shapes, which SVG and PDF write each in its own way. Lengths are points of 1/72 inch; x grows to the right
//! and y downwards.

use super::font;

/// A finished drawing, with what it is called and says.
#[derive(Debug)]
pub(in crate::export) struct Scene {
    /// The chart's id, which names the file.
    pub name: String,
    pub title: String,
    /// What the drawing shows, in words.
    pub caption: String,
    pub width: f64,
    pub height: f64,
    pub shapes: Vec<Shape>,
}

/// A part of a drawing. Later shapes cover earlier ones.
#[derive(Debug)]
pub(in crate::export) enum Shape {
    /// Straight lines through points, each list on its own.
    Path {
        lines: Vec<Vec<(f64, f64)>>,
        /// Whether each list returns to its first point.
        is_closed: bool,
        paint: Paint,
    },
    Circle {
        center: (f64, f64),
        radius: f64,
        paint: Paint,
    },
    Text(Text),
}

/// How a path or a circle is filled and stroked.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::export) struct Paint {
    pub fill: Option<Fill>,
    pub stroke: Option<Stroke>,
}

/// The filling of a shape.
#[derive(Clone, Copy, Debug)]
pub(in crate::export) struct Fill {
    pub color: Color,
    /// From 0, which is not seen, to 1.
    pub opacity: f64,
}

/// The line of a shape.
#[derive(Clone, Copy, Debug)]
pub(in crate::export) struct Stroke {
    pub color: Color,
    pub width: f64,
    /// Lengths of dashes and gaps in turn. Empty for a whole line.
    pub dash: &'static [f64],
}

/// Red, green and blue of sRGB.
pub(in crate::export) type Color = [u8; 3];

/// A line of text.
#[derive(Debug)]
pub(in crate::export) struct Text {
    /// The place of the anchor on the baseline.
    pub at: (f64, f64),
    pub runs: Vec<Run>,
    /// The size of the font.
    pub size: f64,
    pub anchor: Anchor,
    pub color: Color,
    /// Whether the line goes upwards: the name of a vertical axis.
    pub is_upward: bool,
}

/// A part of a line of text.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::export) struct Run {
    pub text: String,
    /// Whether it is an exponent: smaller, and above the baseline.
    pub is_raised: bool,
}

/// The part of a text that stands at its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::export) enum Anchor {
    Start,
    Middle,
    End,
}

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::export) struct Area {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

impl Run {
    /// The size of an exponent over the size of its line.
    pub(in crate::export) const RAISED_SIZE: f64 = 0.7;
    /// How far above the baseline an exponent stands, over the size of its line.
    pub(in crate::export) const RAISED_BY: f64 = 0.35;

    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_raised: false }
    }

    pub(super) fn raised(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_raised: true }
    }

    /// Returns the size of the run in a line of this size.
    pub(in crate::export) fn size(&self, line: f64) -> f64 {
        if self.is_raised { line * Self::RAISED_SIZE } else { line }
    }
}

/// Returns the width of a line of runs.
pub(super) fn width_of(runs: &[Run], size: f64) -> f64 {
    runs.iter().map(|run| font::width(&run.text, run.size(size))).sum()
}

impl Text {
    /// Creates a text of a size in one run.
    pub(super) fn new(text: impl Into<String>, size: f64, at: (f64, f64), anchor: Anchor) -> Self {
        Self::of_runs(vec![Run::plain(text)], size, at, anchor)
    }

    pub(super) fn of_runs(runs: Vec<Run>, size: f64, at: (f64, f64), anchor: Anchor) -> Self {
        Self { at, runs, size, anchor, color: super::look::TEXT, is_upward: false }
    }

    pub(super) fn colored(self, color: Color) -> Self {
        Self { color, ..self }
    }

    pub(super) fn upward(self) -> Self {
        Self { is_upward: true, ..self }
    }

    /// Returns how far before its place the text begins, along its baseline.
    pub(in crate::export) fn shift(&self) -> f64 {
        let share = match self.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => 0.5,
            Anchor::End => 1.0,
        };
        share * width_of(&self.runs, self.size)
    }
}

impl From<Text> for Shape {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl Shape {
    /// Draws a line through points.
    pub(super) fn line(points: Vec<(f64, f64)>, stroke: Stroke) -> Self {
        Self::lines(vec![points], stroke)
    }

    /// Draws lines, each through points of its own.
    pub(super) fn lines(lines: Vec<Vec<(f64, f64)>>, stroke: Stroke) -> Self {
        Self::Path { lines, is_closed: false, paint: stroke.into() }
    }

    /// Moves the shape to the right and down, by the same length.
    pub(super) fn moved(self, by: f64) -> Self {
        let moved = |(x, y): (f64, f64)| (x + by, y + by);
        match self {
            Self::Path { lines, is_closed, paint } => {
                let lines = lines.into_iter().map(|line| line.into_iter().map(moved).collect());
                Self::Path { lines: lines.collect(), is_closed, paint }
            }
            Self::Circle { center, radius, paint } => {
                Self::Circle { center: moved(center), radius, paint }
            }
            Self::Text(text) => Self::Text(Text { at: moved(text.at), ..text }),
        }
    }

    /// Draws a rectangle.
    pub(super) fn area(area: Area, paint: Paint) -> Self {
        let Area { left, top, right, bottom } = area;
        let corners = vec![(left, top), (right, top), (right, bottom), (left, bottom)];
        Self::Path { lines: vec![corners], is_closed: true, paint }
    }
}

impl Area {
    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    pub(super) fn contains(&self, other: &Self) -> bool {
        self.left <= other.left
            && other.right <= self.right
            && self.top <= other.top
            && other.bottom <= self.bottom
    }
}

impl From<Fill> for Paint {
    fn from(fill: Fill) -> Self {
        Self { fill: Some(fill), stroke: None }
    }
}

impl From<Stroke> for Paint {
    fn from(stroke: Stroke) -> Self {
        Self { fill: None, stroke: Some(stroke) }
    }
}

impl Stroke {
    pub(super) const fn new(color: Color, width: f64) -> Self {
        Self { color, width, dash: &[] }
    }
}

impl Fill {
    pub(super) const fn new(color: Color) -> Self {
        Self { color, opacity: 1.0 }
    }
}
