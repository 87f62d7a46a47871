//! Reads settings of a file, which have paths (`backend.model`), by the same tables as a command line's options.

use crate::{
    Error,
    given::{Given, GivenOption},
    option::OptionRow,
};
use serde_json::Value;

/// Adds the settings of a tree to those that were given. Settings that are null are not set.
///
/// # Errors
/// Fails if a setting is in no table, or has a value of another kind.
pub(crate) fn add(given: &mut Given, tree: &Value) -> Result<(), Error> {
    add_below(given, "", tree)
}

fn add_below(given: &mut Given, path: &str, value: &Value) -> Result<(), Error> {
    match value {
        Value::Null => Ok(()),
        Value::Object(below) => {
            for (key, value) in below {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                add_below(given, &path, value)?;
            }
            Ok(())
        }
        value => match given.row(path) {
            Some(row) => add_one(given, row, path, value),
            None => {
                let option = if path.is_empty() { value.to_string() } else { path.to_owned() };
                Err(Error::UnknownOption { tool: given.tool, option, instead: None })
            }
        },
    }
}

fn add_one(
    given: &mut Given,
    row: &'static OptionRow,
    path: &str,
    value: &Value,
) -> Result<(), Error> {
    let values = match value {
        Value::Array(values) => values.iter().map(text).collect(),
        value => vec![text(value)],
    };
    let shown = format!("{path}={}", values.join(","));
    // What comes later replaces what came before: a file its defaults, an override the file.
    given.options.retain(|option| option.name != path);
    given.push(GivenOption { row, name: path.to_owned(), shown, values })
}

/// A value as the tool's files have it.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            // YAML's .inf does not exist in JSON, so it is a string there.
            Some(float) if number.is_f64() => float.to_string(),
            _ => number.to_string(),
        },
        value => value.to_string(),
    }
}
