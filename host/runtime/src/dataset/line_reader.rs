//! Reads files whose rows are lines: JSONL and text.

use super::{
    RowReader,
    bounded_reader::{BoundedReader, Budget},
    cell::{Cell, Cells},
    json::{self, JsonError},
    row_error::{RowCause, RowError, RowPlace},
    text_source::utf8,
};
use std::io::{self, BufRead, BufReader};

/// The lines of a file without their line ends: `\n`, `\r\n` or `\r`, as in Python's `open`. The other line ends of
/// Unicode (U+0085, U+2028, U+2029) are ordinary characters.
pub(super) struct LineReader {
    bytes: BufReader<BoundedReader>,
    budget: Budget,
    /// The number of lines that were read.
    count: u64,
    /// Whether the last line ended with `\r`. A `\n` that follows belongs to the same line end.
    is_halfway: bool,
}

impl LineReader {
    pub(super) fn new(bytes: BoundedReader) -> Self {
        let budget = bytes.budget();
        Self { budget, bytes: BufReader::new(bytes), count: 0, is_halfway: false }
    }

    /// Returns the next line, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<String>, RowError> {
        self.budget.renew();
        self.count += 1;
        let bytes = self.next_bytes().map_err(|error| self.at(error))?;
        bytes.map(|bytes| utf8(bytes).map_err(|error| self.at(error))).transpose()
    }

    fn next_bytes(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        loop {
            let buffer = self.bytes.fill_buf()?;
            if self.is_halfway && buffer.first() == Some(&b'\n') {
                self.is_halfway = false;
                self.bytes.consume(1);
                continue;
            }
            self.is_halfway = false;
            if buffer.is_empty() {
                return Ok(Some(line).filter(|line| !line.is_empty()));
            }
            let end = buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (length, read) = end.map_or((buffer.len(), buffer.len()), |end| (end, end + 1));
            line.extend_from_slice(&buffer[..length]);
            self.is_halfway = end.is_some_and(|end| buffer[end] == b'\r');
            self.bytes.consume(read);
            if end.is_some() {
                return Ok(Some(line));
            }
        }
    }

    /// The position of the line that was read last.
    fn place(&self) -> RowPlace {
        RowPlace::Line(self.count)
    }

    fn at(&self, cause: impl Into<RowCause>) -> RowError {
        RowError::new(self.place(), cause)
    }
}

pub(super) struct TextLines(LineReader);

impl TextLines {
    pub(super) fn new(bytes: BoundedReader) -> Self {
        Self(LineReader::new(bytes))
    }
}

impl RowReader for TextLines {
    fn next_row(&mut self) -> Result<Option<Cells>, RowError> {
        Ok(self.0.next()?.map(|line| vec![("text".to_owned(), Cell::text(line))]))
    }

    fn place(&self) -> RowPlace {
        self.0.place()
    }
}

/// A file whose lines are JSON objects. Empty lines, and objects that only note the origin of the data, are skipped.
pub(super) struct JsonLines(LineReader);

impl JsonLines {
    pub(super) fn new(bytes: BoundedReader) -> Self {
        Self(LineReader::new(bytes))
    }
}

impl RowReader for JsonLines {
    fn next_row(&mut self) -> Result<Option<Cells>, RowError> {
        while let Some(line) = self.0.next()? {
            if line.trim().is_empty() {
                continue;
            }
            let object: json::Object = serde_json::from_str(&line).map_err(|error| {
                let rest = json::rest(&line, &error);
                self.0.at(JsonError::new(error, rest))
            })?;
            if object.is_data() {
                return Ok(Some(object.cells()));
            }
        }
        Ok(None)
    }

    fn place(&self) -> RowPlace {
        self.0.place()
    }
}
