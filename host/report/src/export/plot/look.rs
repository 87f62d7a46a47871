//! Colours, dashes and markers: those of the page (`page/look.js`) on white paper. Each series differs from the others in
//! more than its colour.

use super::scene::{Color, Fill, Paint, Shape, Stroke};

/// Okabe and Ito's colours, which people with each kind of colour blindness tell apart, darker for white paper.
const COLORS: [Color; 8] = [
    [0x00, 0x72, 0xb2],
    [0xc0, 0x4a, 0x00],
    [0x00, 0x79, 0x5a],
    [0xa8, 0x45, 0x7f],
    [0x8a, 0x61, 0x00],
    [0x2a, 0x7f, 0xb8],
    [0x5b, 0x3f, 0xa0],
    [0x44, 0x44, 0x44],
];

/// Dashes of lines that are [`LINE`] wide, in the page's proportions.
const DASHES: [&[f64]; 4] = [&[], &[3.9, 2.2], &[1.1, 1.7], &[5.0, 1.7, 1.1, 1.7]];

const SYMBOLS: [Symbol; 7] = [
    Symbol::Circle { is_filled: true },
    Symbol::Square,
    Symbol::Triangle { is_filled: true },
    Symbol::Diamond { is_filled: true },
    Symbol::Circle { is_filled: false },
    Symbol::Triangle { is_filled: false },
    Symbol::Diamond { is_filled: false },
];

/// Colour of names and labels.
pub(super) const TEXT: Color = [0x1c, 0x1e, 0x21];
/// Colour of numbers at ticks.
pub(super) const SOFT: Color = [0x3c, 0x40, 0x46];
/// Colour of axes.
pub(super) const AXIS: Color = [0x5a, 0x5f, 0x66];
/// Colour of the grid.
pub(super) const GRID: Color = [0xe0, 0xe2, 0xe6];
pub(super) const WHITE: Color = [0xff; 3];

/// Width of a curve.
pub(super) const LINE: f64 = 1.1;

/// The shape of a marker.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Symbol {
    Circle { is_filled: bool },
    Square,
    Triangle { is_filled: bool },
    Diamond { is_filled: bool },
}

/// What a series looks like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub color: Color,
    dash: &'static [f64],
    symbol: Symbol,
}

/// Returns the look of the series with this number. Colour, dash and marker repeat at different lengths, so that 56 differ.
pub(super) fn look(number: usize) -> Look {
    Look {
        color: COLORS[number % COLORS.len()],
        dash: DASHES[(number + number / COLORS.len()) % DASHES.len()],
        symbol: SYMBOLS[number % SYMBOLS.len()],
    }
}

impl Look {
    /// Returns the stroke of a curve.
    pub(super) fn stroke(&self, width: f64) -> Stroke {
        Stroke { color: self.color, width, dash: self.dash }
    }

    /// Returns a marker of a diameter.
    pub(super) fn marker(&self, center: (f64, f64), diameter: f64) -> Shape {
        let half = diameter / 2.0;
        let filled = Paint { fill: Some(Fill::new(self.color)), stroke: None };
        let hollow = Paint {
            fill: Some(Fill::new(WHITE)),
            stroke: Some(Stroke::new(self.color, diameter * 0.2)),
        };
        let paint = |is_filled| if is_filled { filled } else { hollow };
        let polygon = |corners: &[(f64, f64)], paint| {
            let corner = |&(x, y): &(f64, f64)| (center.0 + x * half, center.1 + y * half);
            let lines = vec![corners.iter().map(corner).collect()];
            Shape::Path { lines, is_closed: true, paint }
        };
        // Markers of one diameter cover about the same area.
        match self.symbol {
            Symbol::Circle { is_filled } => {
                Shape::Circle { center, radius: half, paint: paint(is_filled) }
            }
            Symbol::Square => {
                polygon(&[(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)], filled)
            }
            Symbol::Triangle { is_filled } => {
                polygon(&[(0.0, -1.2), (1.15, 0.8), (-1.15, 0.8)], paint(is_filled))
            }
            Symbol::Diamond { is_filled } => {
                polygon(&[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)], paint(is_filled))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_of_the_page() {
        let page = include_str!("../../../page/look.js");
        let list: Vec<String> =
            COLORS.iter().map(|[r, g, b]| format!("\"#{r:02x}{g:02x}{b:02x}\"")).collect();
        assert!(page.contains(&format!("const LIGHT = [{}];", list.join(", "))), "{list:?}");
        assert!(page.contains("const DASHES = [\"solid\", [7, 4], [2, 3], [9, 3, 2, 3]];"));
    }

    #[test]
    fn fifty_six_series_look_different() {
        let mut seen: Vec<String> = (0..56).map(|number| format!("{:?}", look(number))).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 56);
    }
}
