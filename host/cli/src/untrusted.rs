//! Makes texts safe to print. They come from scripts, records, models and file names.
//!
//! Unchanged, such a text could clear the screen, hide or reverse what follows, or add a line that looks like the
//! program's own. So every character that is not visible is written as an escape, such as `\u{1b}`, and texts of
//! limited length are cut.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_width::UnicodeWidthChar;

/// The most columns of a table's cell, so that several cells fit on a screen.
const CELL: usize = 60;

/// The most columns of a line. The longest messages of the program list possible choices.
const LINE: usize = 2000;

/// Makes a text safe for a table's cell, or for a few words of a line.
pub(crate) fn cell(text: &str) -> String {
    cut(text, CELL)
}

/// Makes a text safe for a line: a message, a warning, a log line.
pub(crate) fn line(text: &str) -> String {
    cut(text, LINE)
}

/// Makes a text safe and keeps it whole, with its line breaks and tabs.
pub(crate) fn text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            c => push(&mut shown, c),
        }
    }
    shown
}

/// Makes a JSON text safe without changing its meaning. JSON strings contain no line breaks, so the line breaks are
/// layout.
pub(crate) fn json(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || is_visible(c) {
            shown.push(c);
        } else {
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units).iter();
            shown.extend(units.map(|unit| format!("\\u{unit:04x}")));
        }
    }
    shown
}

fn cut(text: &str, most: usize) -> String {
    let (mut shown, mut columns, mut with_ellipsis) = (String::new(), 0, 0);
    for c in text.chars() {
        let before = shown.len();
        push(&mut shown, c);
        // A combining mark takes no column, but is counted as one, so that many of them are cut.
        let widths = shown[before..].chars().map(|c| c.width().unwrap_or_default().max(1));
        columns += widths.sum::<usize>();
        if columns > most {
            shown.truncate(with_ellipsis);
            shown.push('…');
            break;
        }
        if columns < most {
            with_ellipsis = shown.len();
        }
    }
    shown
}

fn push(shown: &mut String, c: char) {
    match is_visible(c) {
        true => shown.push(c),
        false => shown.extend(c.escape_default()),
    }
}

/// Returns true if a character is visible. Control characters, direction marks, zero-width spaces, line separators and
/// characters that Unicode has not assigned are not.
fn is_visible(c: char) -> bool {
    let is_separator = |category| {
        matches!(category, GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator)
    };
    matches!(c, ' '..='~')
        || c.general_category_group() != GeneralCategoryGroup::Other
            && !is_separator(c.general_category())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Characters that control the output. One of them, the soft hyphen, looks like a letter.
    const STEERING: &str = "\u{0}\u{7}\u{8}\t\n\r\u{1b}\u{7f}\u{85}\u{9b}\u{ad}\u{61c}\u{200b}\u{200d}\u{200e}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{feff}\u{fff9}\u{e0001}\u{e000}";

    #[test]
    fn what_is_not_there_to_be_seen_is_escaped() {
        for c in STEERING.chars() {
            let shown = line(&format!("a{c}b"));
            assert_eq!(shown, format!("a{}b", c.escape_default()), "{c:?}");
            assert!(shown.is_ascii());
        }
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for written in ["it's \"C:\\x\" ~", "e\u{301}té", "हिन्दी", "中文 ½ µs ±", "🦀", "שלום"]
        {
            assert_eq!(line(written), written);
        }
    }

    #[test]
    fn a_text_keeps_its_lines_and_tabs_alone() {
        assert_eq!(text("a\n\tb\r\u{1b}[2J"), "a\n\tb\\r\\u{1b}[2J");
    }

    #[test]
    fn a_cell_is_cut_at_its_columns() {
        let sixty = "x".repeat(60);
        assert_eq!(cell(&sixty), sixty);
        assert_eq!(cell(&(sixty.clone() + "x")), "x".repeat(59) + "…");
        assert_eq!(cell(&"中".repeat(31)), "中".repeat(29) + "…");
        // An escape is printed whole or not at all.
        assert_eq!(cell(&("x".repeat(55) + "\u{1b}y")), "x".repeat(55) + "…");
        assert_eq!(cell(&"\u{301}".repeat(1000)).chars().count(), 60);
    }

    #[test]
    fn json_with_escapes_tells_the_same() {
        let value = serde_json::json!({ STEERING: [STEERING, "é 🦀"] });
        let shown = json(&format!("{value:#}"));
        assert!(!shown.contains(|c| c != '\n' && !is_visible(c)));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).ok(), Some(value));
    }
}
