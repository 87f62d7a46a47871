//! Detects what a JSON file holds: an array, lines, or one object. The file's ending does not decide, because .json and
//! .jsonl are both used for all three.

use super::{
    RowReader,
    bounded_reader::BoundedReader,
    file_error::FileError,
    json,
    json_array::JsonArray,
    json_document::JsonDocument,
    line_reader::{JsonLines, LineReader},
    row_error::{RowError, RowPlace},
    text_source::TextSource,
};
use std::io::{BufRead, BufReader};

/// Opens a reader for what the file holds. `is_lines` is true if the file's ending says that each line is an object.
pub(super) fn reader(source: &TextSource, is_lines: bool) -> Result<Box<dyn RowReader>, FileError> {
    Ok(match first_byte(source.text()?)? {
        Some(b'[') => Box::new(JsonArray::new(source.text()?)),
        Some(b'{') if is_one_object(source.text()?, is_lines)? => {
            Box::new(JsonDocument::read(source.text()?)?)
        }
        _ => Box::new(JsonLines::new(source.text()?)),
    })
}

/// Returns the first byte that is not white space.
fn first_byte(text: BoundedReader) -> Result<Option<u8>, RowError> {
    let mut bytes = BufReader::new(text);
    loop {
        let buffer = bytes.fill_buf().map_err(|error| RowError::new(RowPlace::Line(1), error))?;
        let length = buffer.len();
        let first = buffer.iter().find(|byte| !byte.is_ascii_whitespace()).copied();
        if first.is_some() || length == 0 {
            return Ok(first);
        }
        bytes.consume(length);
    }
}

/// Returns true if an object continues after its first line, or if it is all that a file not named .jsonl holds.
fn is_one_object(text: BoundedReader, is_lines: bool) -> Result<bool, RowError> {
    let mut lines = LineReader::new(text);
    let mut next = || loop {
        match lines.next()? {
            Some(line) if line.trim().is_empty() => {}
            line => return Ok::<_, RowError>(line),
        }
    };
    let first = next()?.unwrap_or_default();
    Ok(match serde_json::from_str::<json::Object>(&first) {
        Ok(_) => !is_lines && next()?.is_none(),
        // A damaged first line is read as JSON lines, so that the error names its line.
        Err(error) => error.is_eof() && next()?.is_some_and(|second| !second.starts_with('{')),
    })
}
