//! Converts JSON into the cells of rows.

use super::cell::{Cell, Cells};
use crate::input_value::InputValue;
use indexmap::IndexMap;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

/// The key that marks an object as a note about the origin of the data, which is not a row.
const PROVENANCE: &str = "_provenance";

/// The fields of a JSON object, in the order of the file. As in Python, the last of several fields with one name is
/// used.
pub(super) struct Object<T = serde_json::Value>(pub IndexMap<String, T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<T>, A::Error> {
                let mut fields = IndexMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    fields.insert(name, value);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

impl Object {
    /// Returns true if the object is a row and not a note about the origin of the data.
    pub(super) fn is_data(&self) -> bool {
        !self.0.contains_key(PROVENANCE)
    }

    pub(super) fn cells(self) -> Cells {
        self.0.into_iter().map(|(name, value)| (name, cell(value))).collect()
    }
}

/// Converts a JSON value into a cell. A whole number that fits only `u64` becomes text, because it would lose digits as
/// a float.
pub(super) fn cell(value: serde_json::Value) -> Cell {
    let what = match &value {
        serde_json::Value::String(_) => "text",
        serde_json::Value::Bool(_) => "true or false",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::Null => "null",
        serde_json::Value::Array(_) => "a list",
        serde_json::Value::Object(_) => "an object",
    };
    match value {
        serde_json::Value::String(text) => Cell::text(text),
        serde_json::Value::Bool(boolean) => Cell::Plain(InputValue::Boolean(boolean)),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Cell::Plain(InputValue::Integer(integer)),
            (None, Some(float)) if !number.is_u64() => Cell::Plain(InputValue::Number(float)),
            _ => Cell::AsText { what, text: number.to_string() },
        },
        other => Cell::AsText { what, text: other.to_string() },
    }
}

/// What is wrong with the JSON of a row, and where in the row's own text.
#[derive(Debug, thiserror::Error)]
#[error("{}", sentence(.error, *.is_not_finite))]
pub(super) struct JsonError {
    error: serde_json::Error,
    /// Whether the error is at `NaN` or `Infinity`, which Python writes.
    is_not_finite: bool,
}

impl JsonError {
    /// Creates an error of the parser. `rest` is the text from the error onwards.
    pub(super) fn new(error: serde_json::Error, rest: &[u8]) -> Self {
        // The parser may already have consumed the first letter.
        let is_not_finite = [&b"NaN"[..], b"aN", b"Infinity", b"nfinity", b"-Infinity"]
            .iter()
            .any(|word| rest.starts_with(word));
        Self { error, is_not_finite }
    }
}

fn sentence(error: &serde_json::Error, is_not_finite: bool) -> String {
    let whole = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let Some(reason) = whole.strip_suffix(&place) else { return whole };
    let place = match error.line() {
        // An error at the end of the text has no useful position.
        _ if error.is_eof() => String::new(),
        1 => format!(" at its column {}", error.column()),
        line => format!(" at its line {line}, column {}", error.column()),
    };
    match is_not_finite {
        true => format!("NaN or Infinity{place}, which are not JSON: write null"),
        false if reason == "invalid unicode code point" => {
            format!("{reason}{place}: if the file is Latin-1 or Windows-1252, write it as UTF-8")
        }
        false => format!("{reason}{place}"),
    }
}

/// The part of a text from the position of an error onwards.
pub(super) fn rest<'a>(text: &'a str, error: &serde_json::Error) -> &'a [u8] {
    let before = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let start = before.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
    text.as_bytes().get(start..).unwrap_or_default()
}
