//! All tables as CSV (RFC 4180), in long form: a row for each number, so that one file holds every table. Values are not
//! rounded, and are in the record's units.

use super::{Row, rows};
use crate::document::Report;

/// The columns of the file.
pub(super) const COLUMNS: [&str; 10] = [
    "section",
    "table",
    "row",
    "column",
    "value",
    "uncertainty",
    "unit",
    "source",
    "covers",
    "unavailable",
];

/// Writes the report.
pub(super) fn render(report: &Report) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Memory takes everything, so no write fails.
    let _ = writer.write_record(COLUMNS);
    for row in rows(report) {
        let Row { section, table, row, column, number } = row;
        let (value, uncertainty) = match number.known() {
            Some((value, uncertainty)) => (value.to_string(), uncertainty.to_string()),
            None => (String::new(), String::new()),
        };
        let reason = number.unavailable_reason().unwrap_or_default();
        let fields = [
            section,
            &guarded(table),
            &guarded(&row),
            &guarded(column),
            &value,
            &uncertainty,
            &number.unit,
            &number.source,
            &guarded(&number.coverage),
            &guarded(reason),
        ];
        let _ = writer.write_record(fields);
    }
    writer.into_inner().unwrap_or_default()
}

/// Puts an apostrophe before a text that a spreadsheet would take for a formula.
fn guarded(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}
