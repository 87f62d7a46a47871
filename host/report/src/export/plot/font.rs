//! The font of drawings, Liberation Sans 2.1.5 (`font/README.md`), and how wide texts are in it.
//!
//! Its glyphs are as wide as those of Arial and Helvetica, so a text of an SVG takes the same room on a machine that has one
//! of these three, and a PDF holds the glyphs that it needs. A machine's own fonts are never asked.

use std::sync::LazyLock;
use ttf_parser::Face;

/// The font's file.
pub(in crate::export) const FILE: &[u8] =
    include_bytes!("../../../font/LiberationSans-Regular.ttf");

/// The names by which an SVG asks for the font, and for those whose glyphs are as wide.
pub(in crate::export) const FAMILIES: &str = "Liberation Sans, Arial, Helvetica, sans-serif";

/// Height of a capital letter over the font's size.
pub(super) const CAPITAL: f64 = 0.69;

static FACE: LazyLock<Option<Face<'static>>> = LazyLock::new(|| Face::parse(FILE, 0).ok());

/// Returns the width of a text. A character that the font lacks is drawn from another font, or as a box, and is counted as a
/// square.
pub(in crate::export) fn width(text: &str, size: f64) -> f64 {
    let Some(face) = FACE.as_ref() else { return size * text.chars().count() as f64 };
    let units = f64::from(face.units_per_em());
    let wide = |c| {
        let advance = face.glyph_index(c).and_then(|glyph| face.glyph_hor_advance(glyph));
        advance.map_or(1.0, |advance| f64::from(advance) / units)
    };
    size * text.chars().map(wide).sum::<f64>()
}

/// Returns a text that fits into a width. The middle of a longer one gives way to an ellipsis, because names of runs differ
/// at both ends.
pub(super) fn fitted(text: &str, size: f64, most: f64) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let letters: Vec<char> = text.chars().collect();
    let shortened = |kept: usize| -> String {
        let end = kept / 2;
        let start = letters[..kept - end].iter();
        start.chain(['…'].iter()).chain(&letters[letters.len() - end..]).collect()
    };
    // Texts grow with the letters that they keep, so the longest that fits is found by halving.
    let (mut fits, mut beyond) = (0, letters.len());
    while beyond - fits > 1 {
        let middle = (fits + beyond) / 2;
        if width(&shortened(middle), size) <= most { fits = middle } else { beyond = middle }
    }
    shortened(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    /// The widths of Helvetica in Adobe's metrics (AFM): H 722, e 556, l 222, o 556, 1 556, of 1000.
    #[test]
    fn widths_are_those_of_helvetica() {
        assert!((width("Hello", 1000.0) - 2278.0).abs() < 2.0, "{}", width("Hello", 1000.0));
        assert!((width("1", 10.0) - 5.56).abs() < 0.01);
    }

    #[test]
    fn a_long_text_loses_its_middle() {
        let text = "synthetic:tiny / 16 words / greedy";
        let short = fitted(text, 7.0, 60.0);
        assert!(width(&short, 7.0) <= 60.0 && width(&short, 7.0) > 50.0, "{short}");
        assert!(short.starts_with("synth") && short.ends_with("reedy"), "{short}");
        assert_eq!(fitted(text, 7.0, 1000.0), text);
        assert_eq!(fitted(text, 7.0, 0.0), "…");
        assert_eq!(fitted("", 7.0, 0.0), "");
    }

    #[test]
    fn the_font_is_the_published_one() {
        let readme = include_str!("../../../font/README.md");
        let digest: String =
            Sha256::digest(FILE).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(readme.contains(&digest), "{digest}");
    }
}
