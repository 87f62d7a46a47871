//! JSON values as scripts see them.

use super::Fields;
use crate::value::Value;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use std::fmt;

/// A JSON object's fields, in its order.
pub struct Object(pub Fields);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Fields::new();
                while let Some((name, cell)) = map.next_entry()? {
                    fields.push((name, value(cell)));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// A JSON value as scripts see it. A whole number that fits only `u64` would lose digits as a number, and is text.
pub fn value(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Bool(boolean) => Value::Boolean(boolean),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::Integer(integer),
            (None, Some(float)) if !number.is_u64() => Value::Number(float),
            _ => Value::Text(number.to_string()),
        },
        other => Value::Text(other.to_string()),
    }
}

/// What is wrong with a row, and where in its own text.
pub fn sentence(error: &serde_json::Error) -> String {
    let whole = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match whole.strip_suffix(&place) {
        // Where a text ends is no place within it.
        Some(reason) if error.is_eof() => reason.to_owned(),
        Some(reason) if error.line() == 1 => format!("{reason} at its column {}", error.column()),
        Some(reason) => {
            format!("{reason} at its line {}, column {}", error.line(), error.column())
        }
        None => whole,
    }
}
