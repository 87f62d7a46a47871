//! JSON as Python writes it, and values as Python's config classes take them.

use crate::{Result, text_file};
use serde_json::{Value, json};
use std::path::Path;

/// The key under which transformers 5 writes a number that JSON has no word for: `{"__float__": "NaN"}`.
const FLOAT: &str = "__float__";

/// What JSON has no word for and Python's `json` writes bare.
const BARE: [&str; 3] = ["NaN", "-Infinity", "Infinity"];

/// What a `config.json` says. Python writes `NaN` and `Infinity`, which JSON does not have; they become transformers'
/// `{"__float__": ...}`, so that only a field that is read is refused for them.
pub fn parse(text: &str, path: &Path) -> Result<Value> {
    text_file::parse(text, path).or_else(|error| match tag_floats(text) {
        Some(tagged) => text_file::parse(&tagged, path),
        None => Err(error),
    })
}

/// The text with its bare floats tagged; `None` if it has none.
fn tag_floats(text: &str) -> Option<String> {
    let (mut tagged, mut rest, mut found) = (String::with_capacity(text.len()), text, false);
    let mut is_quoted = false;
    while let Some(next) = rest.chars().next() {
        let bare = BARE.iter().find(|word| !is_quoted && rest.starts_with(**word));
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

/// A value as messages show it: JSON, cut after 60 characters.
pub fn shown(value: &Value) -> String {
    if let Some(float) = value.get(FLOAT).and_then(Value::as_str) {
        return float.to_owned();
    }
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Whether Python counts a value as true.
pub fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// A whole number from 0, also where it is written as a float (`4096.0`, `1e5`).
pub fn whole(value: &Value) -> Option<u64> {
    /// Floats count whole numbers one by one up to here.
    const EXACT: f64 = (1u64 << 53) as f64;
    let float =
        || value.as_f64().filter(|float| float.fract() == 0.0 && (0.0..=EXACT).contains(float));
    value.as_u64().or_else(|| float().map(|float| float as u64))
}
