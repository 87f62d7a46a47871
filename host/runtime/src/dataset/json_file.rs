//! What a file of JSON holds: an array, lines, or one object. Endings do not tell: both .json and .jsonl name all.

use super::{
    Reader,
    bounded::Bounded,
    document::Document,
    json,
    json_array::JsonArray,
    lines::{JsonLines, Lines},
    source::Source,
};
use std::io::{BufRead, BufReader};

/// A reader of what the file holds. `is_lines`: its ending says that an object is a line.
pub fn reader(source: &Source, is_lines: bool) -> Result<Box<dyn Reader>, String> {
    Ok(match first_byte(source.text()?)? {
        Some(b'[') => Box::new(JsonArray::new(source.text()?)),
        Some(b'{') if is_one_object(source.text()?, is_lines)? => {
            Box::new(Document::read(source.text()?)?)
        }
        _ => Box::new(JsonLines::new(source.text()?)),
    })
}

/// The first byte that is no white space.
fn first_byte(text: Bounded) -> Result<Option<u8>, String> {
    let mut bytes = BufReader::new(text);
    loop {
        let buffer = bytes.fill_buf().map_err(|error| format!("line 1: {error}"))?;
        let length = buffer.len();
        let first = buffer.iter().find(|byte| !byte.is_ascii_whitespace()).copied();
        if first.is_some() || length == 0 {
            return Ok(first);
        }
        bytes.consume(length);
    }
}

/// Whether an object goes on after its first line, or is all that a file not named .jsonl holds.
fn is_one_object(text: Bounded, is_lines: bool) -> Result<bool, String> {
    let mut lines = Lines::new(text);
    let mut next = || loop {
        match lines.next()? {
            Some(line) if line.trim().is_empty() => {}
            line => return Ok::<_, String>(line),
        }
    };
    let first = next()?.unwrap_or_default();
    Ok(match serde_json::from_str::<json::Object>(&first) {
        Ok(_) => !is_lines && next()?.is_none(),
        // Of a damaged line the place is told.
        Err(error) => error.is_eof() && next()?.is_some_and(|second| !second.starts_with('{')),
    })
}
