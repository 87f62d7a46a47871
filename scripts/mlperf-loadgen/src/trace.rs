//! Samples that another system completed: their times in the dataset `trace`, instead of a run.

use crate::results::{Run, Sample};
use llem_sdk::{
    inputs::{Row, rows_if_granted},
    prelude::*,
};

/// Returns the run in the dataset `trace`, or `None` if it was not granted. Its rows are in the order in which the samples
/// were issued.
pub(crate) fn read() -> Result<Option<Run>> {
    let Some(rows) = rows_if_granted("trace")? else { return Ok(None) };
    let mut run = Run::default();
    for row in rows {
        let row = row?;
        let time = |name: &str| row.get::<u64>(name);
        run.samples.push(Sample {
            query: row.get("query")?,
            index: row.get("sample_idx")?,
            scheduled: time("scheduled_ns")?,
            issued: time("issued_ns")?,
            first_token: has(&row, "first_token_ns").then(|| time("first_token_ns")).transpose()?,
            done: time("complete_ns")?,
            tokens: row.get("n_tokens")?,
        });
    }
    run.queries = run.samples.iter().map(|sample| sample.query + 1).max().unwrap_or(0);
    if run.samples.is_empty() {
        return Err(Error::invalid_argument(
            "dataset 'trace' has no rows: add one for each sample",
        ));
    }
    Ok(Some(run))
}

fn has(row: &Row, name: &str) -> bool {
    row.fields.iter().any(|(field, _)| field == name)
}

/// Returns samples as rows of such a dataset.
pub(crate) fn to_jsonl(run: &Run) -> String {
    let row = |sample: &Sample| {
        let Sample { query, index, scheduled, issued, first_token, done, tokens } = sample;
        let first =
            first_token.map_or(String::new(), |time| format!("\"first_token_ns\": {time}, "));
        format!(
            "{{\"query\": {query}, \"sample_idx\": {index}, \"scheduled_ns\": {scheduled}, \"issued_ns\": {issued}, \
             {first}\"complete_ns\": {done}, \"n_tokens\": {tokens}}}\n"
        )
    };
    run.samples.iter().map(row).collect()
}
