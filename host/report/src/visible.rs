//! Makes texts of records visible. A script chose them, so a text may hold characters that hide, reverse or break what
//! stands around them; each of these is shown as its code point.

/// Returns the text with each control, format and bidirectional character written as `⟨U+202E⟩`. Line breaks and tabs become
/// spaces.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(' '),
            c if is_hidden(c) => shown.push_str(&format!("⟨U+{:04X}⟩", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown
}

/// Returns the visible text, cut to `most` characters of which the last is an ellipsis.
pub fn visible_part(text: &str, most: usize) -> String {
    let text = visible(text);
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
        None => text,
    }
}

/// Returns true for characters that no reader sees: controls, bidirectional marks, zero-width characters, tags, private use.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_hide_or_reverse_text_are_shown() {
        assert_eq!(visible("a\u{202e}b\u{0}c\nd"), "a⟨U+202E⟩b⟨U+0000⟩c d");
        assert_eq!(visible("größe 名前 µs"), "größe 名前 µs");
        assert_eq!(visible_part("abcdef", 4), "abc…");
        assert_eq!(visible_part("abcd", 4), "abcd");
    }
}
