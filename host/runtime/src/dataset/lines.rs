//! Files whose rows are lines: JSONL and text.

use super::{
    Fields, Reader,
    bounded::{Bounded, Budget},
    is_data, json,
};
use crate::value::Value;
use std::io::{BufRead, BufReader};

/// What some editors put before the first line of a text in UTF-8 (the byte order mark, U+FEFF).
const MARK: char = '\u{feff}';

/// The lines of a file, without what ends them.
struct Lines {
    lines: std::io::Lines<BufReader<Bounded>>,
    budget: Budget,
    /// Lines that were read.
    count: u64,
}

impl Lines {
    fn new(bytes: Bounded) -> Self {
        Self { budget: bytes.budget(), lines: BufReader::new(bytes).lines(), count: 0 }
    }

    fn next(&mut self) -> Result<Option<String>, String> {
        self.budget.renew();
        self.count += 1;
        let line = self.lines.next().transpose().map_err(|error| self.at(&error.to_string()))?;
        let is_first = self.count == 1;
        Ok(line.map(|line| match line.strip_prefix(MARK) {
            Some(rest) if is_first => rest.to_owned(),
            _ => line,
        }))
    }

    fn at(&self, reason: &str) -> String {
        format!("line {}: {reason}", self.count)
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
    fn next_row(&mut self) -> Result<Option<Fields>, String> {
        Ok(self.0.next()?.map(|line| vec![("text".to_owned(), Value::Text(line))]))
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
    fn next_row(&mut self) -> Result<Option<Fields>, String> {
        while let Some(line) = self.0.next()? {
            if line.trim().is_empty() {
                continue;
            }
            let json::Object(fields) =
                serde_json::from_str(&line).map_err(|error| self.0.at(&json::sentence(&error)))?;
            if is_data(&fields) {
                return Ok(Some(fields));
            }
        }
        Ok(None)
    }
}
