//! `numbers.json`: what MLflow and W&B have no room for beside a number, which is its unit, its source and why it is absent.

use crate::numbers::Numbers;
use llem_quantity::ReadingRecord;
use serde::Serialize;

/// The file's name.
pub(crate) const NUMBERS: &str = "numbers.json";

/// A number of the file. It has the fields of a quantity, or `unavailable` and `cause`.
#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    /// What the name was made of, if a script chose it.
    #[serde(skip_serializing_if = "Option::is_none")]
    original: Option<&'a str>,
    step: u64,
    #[serde(flatten)]
    reading: ReadingRecord,
}

/// Returns the file's content: a list of all numbers.
pub(crate) fn render(numbers: &Numbers) -> Vec<u8> {
    let entries = numbers.all.iter().map(|number| Entry {
        name: &number.name,
        original: number.original.as_deref(),
        step: number.step,
        reading: (&number.reading).into(),
    });
    let entries: Vec<Entry<'_>> = entries.collect();
    // Only texts and finite numbers are in the list, which always have a JSON form.
    serde_json::to_vec_pretty(&entries).unwrap_or_default()
}
