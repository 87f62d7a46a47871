//! All tables as one Parquet file: the rows of the CSV, with value and uncertainty as 64-bit floats. Values are not rounded, and
//! are in the record's units. The file's own metadata says what made it, and of which runs.

use super::rows;
use crate::document::Report;
use parquet::{
    basic::Compression,
    errors::Result,
    file::{metadata::KeyValue, properties::WriterProperties, writer::SerializedFileWriter},
    record::RecordWriter,
};
use parquet_derive::ParquetRecordWriter;
use std::sync::Arc;

/// What the columns hold, for a reader who has the file alone.
const CONVENTION: &str = "value and uncertainty are in the unit of their row, in UCUM's spelling, without a prefix of the table's; \
uncertainty is one standard uncertainty, and 0 if the value is exact or none is stated; value and uncertainty are null if the number is \
not known, and unavailable says why";

/// A number: a row of the file.
#[derive(ParquetRecordWriter)]
struct TypedRow<'a> {
    section: &'a str,
    table: &'a str,
    row: String,
    column: &'a str,
    value: Option<f64>,
    uncertainty: Option<f64>,
    unit: &'a str,
    source: &'a str,
    covers: &'a str,
    unavailable: Option<&'a str>,
}

/// Writes the report.
pub(super) fn render(report: &Report) -> Vec<u8> {
    // Memory takes everything, and the columns are fixed.
    write(report).expect("a table of texts and numbers is written")
}

fn write(report: &Report) -> Result<Vec<u8>> {
    let rows: Vec<TypedRow<'_>> = rows(report)
        .into_iter()
        .map(|row| {
            let (value, uncertainty) = row.number.known().unzip();
            TypedRow {
                section: row.section,
                table: row.table,
                row: row.row,
                column: row.column,
                value,
                uncertainty,
                unit: &row.number.unit,
                source: &row.number.source,
                covers: &row.number.coverage,
                unavailable: row.number.unavailable_reason(),
            }
        })
        .collect();
    let runs = serde_json::to_string(&report.runs).unwrap_or_default();
    let told =
        [("llem.version", report.version), ("llem.runs", &runs), ("llem.convention", CONVENTION)];
    let told = told.map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned()));
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(format!("llem version {}", report.version))
        .set_key_value_metadata(Some(told.to_vec()))
        .build();
    let rows = rows.as_slice();
    let mut writer = SerializedFileWriter::new(Vec::new(), rows.schema()?, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    rows.write_to_row_group(&mut group)?;
    group.close()?;
    writer.into_inner()
}
