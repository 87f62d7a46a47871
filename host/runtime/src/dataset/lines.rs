//! Files whose rows are lines: JSONL and text.

use super::{
    Reader,
    bounded::{Bounded, Budget},
    cell::{Cell, Cells},
    json,
    source::utf8,
};
use std::io::{self, BufRead, BufReader};

/// The lines of a file, without what ends them: `\n`, `\r\n` or `\r`, as Python's `open` has it. The further line ends
/// of Unicode (U+0085, U+2028, U+2029) end no line: they are characters of texts.
pub struct Lines {
    bytes: BufReader<Bounded>,
    budget: Budget,
    /// Lines that were read.
    count: u64,
    /// Whether the line that was read last ended with `\r`, of which a `\n` that follows is a part.
    is_halfway: bool,
}

impl Lines {
    /// A reader at the file's start.
    pub fn new(bytes: Bounded) -> Self {
        let budget = bytes.budget();
        Self { budget, bytes: BufReader::new(bytes), count: 0, is_halfway: false }
    }

    /// The next line; `None` at the end.
    pub fn next(&mut self) -> Result<Option<String>, String> {
        self.budget.renew();
        self.count += 1;
        let bytes = self.next_bytes().map_err(|error| self.at(&error.to_string()))?;
        bytes.map(|bytes| utf8(bytes).map_err(|reason| self.at(&reason))).transpose()
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

    /// Where the line is that was read last.
    fn place(&self) -> String {
        format!("line {}", self.count)
    }

    fn at(&self, reason: &str) -> String {
        format!("{}: {reason}", self.place())
    }
}

/// A file whose lines are texts.
pub struct Text(Lines);

impl Text {
    /// A reader at the file's start.
    pub fn new(bytes: Bounded) -> Self {
        Self(Lines::new(bytes))
    }
}

impl Reader for Text {
    fn next_row(&mut self) -> Result<Option<Cells>, String> {
        Ok(self.0.next()?.map(|line| vec![("text".to_owned(), Cell::text(line))]))
    }

    fn place(&self) -> String {
        self.0.place()
    }
}

/// A file whose lines are JSON objects. Empty lines, and those that say where the data is from, are no rows.
pub struct JsonLines(Lines);

impl JsonLines {
    /// A reader at the file's start.
    pub fn new(bytes: Bounded) -> Self {
        Self(Lines::new(bytes))
    }
}

impl Reader for JsonLines {
    fn next_row(&mut self) -> Result<Option<Cells>, String> {
        while let Some(line) = self.0.next()? {
            if line.trim().is_empty() {
                continue;
            }
            let object: json::Object = serde_json::from_str(&line)
                .map_err(|error| self.0.at(&json::sentence(&error, json::rest(&line, &error))))?;
            if object.is_data() {
                return Ok(Some(object.cells()));
            }
        }
        Ok(None)
    }

    fn place(&self) -> String {
        self.0.place()
    }
}
