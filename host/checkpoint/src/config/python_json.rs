//! JSON as Python writes it, and values as Python's config classes interpret them.

use crate::{Result, text_file};
use serde_json::{Value, json};
use std::path::Path;

/// The key under which transformers 5 writes a number that JSON has no word for: `{"__float__": "NaN"}`.
const FLOAT: &str = "__float__";

/// The words that Python's `json` writes for numbers which JSON cannot express.
const FLOAT_WORDS: [&str; 3] = ["NaN", "-Infinity", "Infinity"];

/// Parses the text of a `config.json`. Messages name `path`.
///
/// Python writes `NaN` and `Infinity`, which are not JSON. They become transformers' `{"__float__": ...}`, so that they
/// cause an error only in a field that is read.
pub(crate) fn parse(text: &str, path: &Path) -> Result<Value> {
    text_file::parse(text, path).or_else(|error| match tag_floats(text) {
        Some(tagged) => text_file::parse(&tagged, path),
        None => Err(error),
    })
}

/// Replaces `NaN` and `Infinity` in a text by tagged values. Returns `None` if there are none.
fn tag_floats(text: &str) -> Option<String> {
    let (mut tagged, mut rest, mut found) = (String::with_capacity(text.len()), text, false);
    let mut is_quoted = false;
    while let Some(next) = rest.chars().next() {
        let bare = FLOAT_WORDS.iter().find(|word| !is_quoted && rest.starts_with(**word));
        let taken = match (bare, next) {
            (Some(word), _) => word.len(),
            (None, '\\') if is_quoted => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, _) => next.len_utf8(),
        };
        let (taken, left) = rest.split_at(taken);
        match bare {
            Some(word) => {
                tagged.push_str(&json!({ FLOAT: word }).to_string());
                found = true;
            }
            None => tagged.push_str(taken),
        }
        is_quoted ^= next == '"';
        rest = left;
    }
    found.then_some(tagged)
}

/// Returns a value as messages show it: JSON, cut after 60 characters.
pub(super) fn describe(value: &Value) -> String {
    if let Some(float) = value.get(FLOAT).and_then(Value::as_str) {
        return float.to_owned();
    }
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Returns `true` if Python counts a value as true.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// Returns a whole number from 0, also if it is written as a float (`4096.0`, `1e5`). Returns `None` for other values.
pub(super) fn as_whole(value: &Value) -> Option<u64> {
    /// Up to this number, f64 can express every whole number.
    const MAX_EXACT: f64 = (1u64 << 53) as f64;
    let float =
        || value.as_f64().filter(|float| float.fract() == 0.0 && (0.0..=MAX_EXACT).contains(float));
    value.as_u64().or_else(|| float().map(|float| float as u64))
}
