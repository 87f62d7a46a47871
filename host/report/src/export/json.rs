//! The report as JSON: every section with its tables and charts. A number keeps its whole value, uncertainty, unit, source and
//! coverage. Samples of the timeline are in the run's Parquet files, and are not repeated.

use crate::document::Report;

/// Writes the report.
pub(super) fn render(report: &Report) -> String {
    // Keys are texts and numbers are finite or null, so a report always becomes JSON.
    serde_json::to_string_pretty(report).unwrap_or_default() + "\n"
}
