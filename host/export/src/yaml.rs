//! Texts in YAML, as MLflow's and W&B's files have them.

use std::fmt::Write;

/// Returns a text as a double-quoted scalar of ASCII (YAML 1.2.2, 7.3.1). No text ends it early or is read as another type, and
/// PyYAML, which refuses controls, reads all of them.
pub(crate) fn quoted(text: &str) -> String {
    let mut scalar = String::with_capacity(text.len() + 2);
    scalar.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => scalar.extend(['\\', c]),
            ' '..='~' => scalar.push(c),
            // Writing to a string does not fail.
            c if u32::from(c) <= 0xffff => drop(write!(scalar, "\\u{:04x}", u32::from(c))),
            c => drop(write!(scalar, "\\U{:08x}", u32::from(c))),
        }
    }
    scalar.push('"');
    scalar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_one_scalar() {
        assert_eq!(quoted("a: \"b\"\n- c\\"), r#""a: \"b\"\u000a- c\\""#);
        assert_eq!(quoted("é🦀\u{0}"), r#""\u00e9\U0001f980\u0000""#);
    }
}
