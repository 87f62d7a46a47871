//! Texts of a record become texts of a page.

use crate::visible::{visible, visible_part};

/// Escapes a text for an element's content or a quoted attribute, and makes hidden characters visible.
pub(in crate::export) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// Escapes a text, and cuts it after `most` characters. It then says how long the text is.
pub(super) fn cut_text(text: &str, most: usize) -> String {
    // A text has at least as many bytes as characters, so most texts need not be counted.
    let count = if text.len() <= most { 0 } else { text.chars().count() };
    if count <= most {
        return escape(text);
    }
    format!("{} <span class=\"cut\">({count} characters)</span>", escape(&visible_part(text, most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_element() {
        assert_eq!(
            escape("</script><b a='\"'>&\u{202e}"),
            "&lt;/script&gt;&lt;b a=&#39;&quot;&#39;&gt;&amp;⟨U+202E⟩"
        );
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        assert_eq!(cut_text("größe", 5), "größe");
        assert_eq!(cut_text("a<cdef", 4), "a&lt;c… <span class=\"cut\">(6 characters)</span>");
    }
}
