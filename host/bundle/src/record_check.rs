//! Compares a run's record with its journal.

use crate::error::Error;
use llem_record::{RunRecord, RunStatus, rebuild_from_journal};
use serde_json::Value;
use std::{fs, path::Path};

/// The first schema whose journals say everything that is in the record.
const FIRST_COMPLETE_SCHEMA: u32 = 3;

/// The result of comparing a record with its journal.
pub(crate) enum Comparison {
    /// The journal gives the record.
    Equal,
    /// The journal is of this older schema, and says less than the record.
    OtherSchema(String),
}

/// Reads the record of a run that has ended. `name` is what messages call its file.
pub(crate) fn read(path: &Path, name: &str) -> Result<RunRecord, Error> {
    let text = fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let record: RunRecord = serde_json::from_slice(&text)
        .map_err(|error| Error::BadRecord { path: name.to_owned(), cause: error.to_string() })?;
    match record.status {
        RunStatus::Running => {
            Err(Error::NotEnded(path.parent().unwrap_or(Path::new(".")).to_owned()))
        }
        _ => Ok(record),
    }
}

/// Compares a record with the one that the journal in `run`, its folder, gives.
///
/// # Errors
/// [`Error::RecordDiffers`] if they differ, or the journal cannot be read.
pub(crate) fn compare(record: &RunRecord, run: &Path) -> Result<Comparison, Error> {
    let mut rebuilt = rebuild_from_journal(run)?;
    let recovery = rebuilt.recovered.take();
    let schema = recovery.and_then(|recovery| recovery.journal_schema);
    let major = |version: &str| version.split('.').next().and_then(|major| major.parse().ok());
    let known: Option<u32> = schema.as_deref().and_then(major);
    if known.is_none_or(|major| major < FIRST_COMPLETE_SCHEMA) {
        return Ok(Comparison::OtherSchema(schema.unwrap_or_else(|| "unknown".to_owned())));
    }
    // A later minor version of the schema says the same of an older journal.
    if major(&record.schema_version) == known {
        rebuilt.schema_version.clone_from(&record.schema_version);
    }
    let mut written = record.clone();
    written.recovered = None;
    match first_difference(&to_value(&written), &to_value(&rebuilt)) {
        Some(field) => Err(Error::RecordDiffers { field }),
        None => Ok(Comparison::Equal),
    }
}

fn to_value(record: &RunRecord) -> Value {
    serde_json::to_value(record).unwrap_or_default()
}

/// Returns the path of the first field that differs, such as `metrics.0.quantity.value`.
fn first_difference(one: &Value, other: &Value) -> Option<String> {
    let deeper = |name: &str, one: Option<&Value>, other: Option<&Value>| match (one, other) {
        (Some(one), Some(other)) => first_difference(one, other).map(|rest| match rest.as_str() {
            "" => name.to_owned(),
            rest => format!("{name}.{rest}"),
        }),
        (None, None) => None,
        _ => Some(name.to_owned()),
    };
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let mut names = one.keys().chain(other.keys());
            names.find_map(|name| deeper(name, one.get(name), other.get(name)))
        }
        (Value::Array(one), Value::Array(other)) => (0..one.len().max(other.len()))
            .find_map(|index| deeper(&index.to_string(), one.get(index), other.get(index))),
        (one, other) => (one != other).then(String::new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_difference_is_named_by_its_path() {
        let one = json!({ "a": 1, "b": [{ "c": 1.5 }, { "c": 2.5 }], "d": null });
        let mut other = one.clone();
        assert_eq!(first_difference(&one, &other), None);
        other["b"][1]["c"] = json!(2.6);
        assert_eq!(first_difference(&one, &other).as_deref(), Some("b.1.c"));
        assert_eq!(first_difference(&one, &json!({ "a": 1 })).as_deref(), Some("b"));
        assert_eq!(first_difference(&json!({ "a": 1 }), &one).as_deref(), Some("b"));
    }
}
