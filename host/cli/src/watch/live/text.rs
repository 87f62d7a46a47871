//! Numbers and texts of a view.

use llem_quantity::significant;
use unicode_width::UnicodeWidthChar;

/// A length of time as `0:07`, `12:30` or `1:02:03`.
pub(super) fn clock(seconds: f64) -> String {
    let seconds = seconds as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// A latency in milliseconds, or a dash.
pub(super) fn milliseconds(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{} ms", significant(seconds * 1e3)))
}

/// A number in four digits, or a dash.
pub(super) fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), significant)
}

/// A number of things: `1 request`, `2 requests`.
pub(super) fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Breaks a text into lines of at most `width` columns, between words where possible.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let (mut lines, mut line, mut columns, mut space) = (Vec::new(), String::new(), 0, None);
    for c in text.chars() {
        let wide = c.width().unwrap_or_default();
        if columns + wide > width && !line.is_empty() {
            let rest = match space {
                Some(place) if c != ' ' => {
                    let rest = line.split_off(place);
                    rest.trim_start().to_owned()
                }
                _ => String::new(),
            };
            lines.push(std::mem::replace(&mut line, rest));
            columns = line.chars().filter_map(UnicodeWidthChar::width).sum();
            space = None;
            if c == ' ' {
                continue;
            }
        }
        if c == ' ' {
            space = Some(line.len());
        }
        line.push(c);
        columns += wide;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_a_clock_does() {
        assert_eq!([0.0, 59.9, 61.0, 3723.0].map(clock), ["0:00", "0:59", "1:01", "1:02:03"]);
    }

    #[test]
    fn lines_break_between_words_and_within_long_ones() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(wrap("中文中文", 5), ["中文", "中文"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("a b", 0), ["a", "b"]);
    }
}
