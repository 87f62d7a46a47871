//! Files of rows: JSONL, JSON arrays, CSV, text, Parquet.
//!
//! Cells arrive as the file has them: a CSV cell is text, and what a JSON or Parquet value means is kept. What has
//! parts (an array, an object, a list, a struct) arrives as JSON text.
//!
//! ```text
//! file ─► bounded ─► lines | json_array | csv | parquet ─► Fields ─► Rows
//!         a row's     one row at a time                              counts, rewinds,
//!         bytes                                                      says where it failed
//! ```

mod bounded;
mod csv;
mod json;
mod json_array;
mod lines;
mod parquet;
#[cfg(test)]
mod tests;

use crate::{error::short, value::Value};
use bounded::{Bounded, Budget};
use parquet::PAGES;
use std::{fs::File, io, path::Path, sync::Arc};

/// The key of a row that says where the data is from, and is no data itself.
const PROVENANCE: &str = "_provenance";

/// Characters of a sentence.
const SENTENCE: usize = 1_000;

/// A row's cells by name, in the file's order.
pub type Fields = Vec<(String, Value)>;

/// Reads one row after another. A failure is a sentence that begins with its place.
trait Reader: Send {
    /// The next row; `None` at the end.
    fn next_row(&mut self) -> Result<Option<Fields>, String>;

    /// Rows of the file, where the format says them.
    fn length(&self) -> Option<u64> {
        None
    }
}

/// What a file's rows are written in.
#[derive(Clone, Copy)]
enum Format {
    JsonLines,
    JsonArray,
    Csv,
    Text,
    Parquet,
}

impl Format {
    fn of(path: &Path) -> Result<Self, String> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("jsonl" | "ndjson") => Ok(Self::JsonLines),
            Some("json") => Ok(Self::JsonArray),
            Some("csv") => Ok(Self::Csv),
            Some("txt") => Ok(Self::Text),
            Some("parquet") => Ok(Self::Parquet),
            other => Err(format!(
                "the ending '{}' is not one of .jsonl, .json, .csv, .txt, .parquet",
                other.unwrap_or_default()
            )),
        }
    }

    /// A reader at the file's first row.
    fn reader(self, file: &Arc<File>) -> Result<Box<dyn Reader>, String> {
        let bounded = Bounded::new(Arc::clone(file));
        Ok(match self {
            Self::JsonLines => Box::new(lines::JsonLines::new(bounded)),
            Self::JsonArray => Box::new(json_array::JsonArray::new(bounded)),
            Self::Csv => Box::new(csv::Csv::new(bounded)?),
            Self::Text => Box::new(lines::Text::new(bounded)),
            Self::Parquet => Box::new(parquet::Parquet::new(file, Budget::new(PAGES))?),
        })
    }
}

/// An open dataset.
pub struct Rows {
    /// What a sentence begins with: the dataset and its file.
    subject: String,
    file: Arc<File>,
    format: Format,
    reader: Box<dyn Reader>,
    /// Rows that were read.
    index: u64,
    /// All rows, once they were counted.
    length: Option<u64>,
    /// Why no further row can be read.
    failure: Option<String>,
}

impl Rows {
    /// Opens a file, whose ending tells what it is.
    ///
    /// # Errors
    /// A sentence that names the dataset and the file: it cannot be read, its ending is none of those that are
    /// known, or its head is damaged.
    pub fn open(name: &str, path: &Path) -> Result<Self, String> {
        let subject = format!("dataset '{name}', {}", path.display());
        let opened = || {
            let format = Format::of(path)?;
            let file = Arc::new(File::open(path).map_err(|error: io::Error| error.to_string())?);
            let reader = format.reader(&file)?;
            Ok((file, format, reader))
        };
        let (file, format, reader) =
            opened().map_err(|reason: String| format!("{subject}: {reason}"))?;
        Ok(Self { subject, file, format, reader, index: 0, length: None, failure: None })
    }

    /// The next row, with its place among the rows, from 0; `None` at the end.
    ///
    /// # Errors
    /// A sentence that names the dataset, the file and the row or line. It is given again until [`Self::rewind`].
    pub fn next_row(&mut self) -> Result<Option<(u64, Fields)>, String> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        match self.reader.next_row() {
            Ok(fields) => Ok(fields.map(|fields| {
                self.index += 1;
                (self.index - 1, fields)
            })),
            Err(reason) => {
                let failure = self.failed(&reason);
                self.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }

    /// Goes back to the first row.
    ///
    /// # Errors
    /// A sentence that names the dataset and the file, if its head cannot be read any more.
    pub fn rewind(&mut self) -> Result<(), String> {
        self.reader = self.fresh_reader()?;
        (self.index, self.failure) = (0, None);
        Ok(())
    }

    /// Rows of the file. Where the format does not say it, the first call reads the file once to its end, in time
    /// that is linear in its size, and leaves the place of [`Self::next_row`] as it was.
    ///
    /// # Errors
    /// As [`Self::next_row`], for the first row that cannot be read.
    pub fn length(&mut self) -> Result<u64, String> {
        if let Some(length) = self.length.or_else(|| self.reader.length()) {
            return Ok(length);
        }
        let (mut reader, mut length) = (self.fresh_reader()?, 0);
        while reader.next_row().map_err(|reason| self.failed(&reason))?.is_some() {
            length += 1;
        }
        self.length = Some(length);
        Ok(length)
    }

    /// The sentence of a failure, which may quote a cell of any length.
    fn failed(&self, reason: &str) -> String {
        short(format!("{}, {reason}", self.subject), SENTENCE)
    }

    fn fresh_reader(&self) -> Result<Box<dyn Reader>, String> {
        self.format.reader(&self.file).map_err(|reason| format!("{}: {reason}", self.subject))
    }
}

/// Whether a row is data, rather than a word on where the data is from.
fn is_data(fields: &Fields) -> bool {
    fields.iter().all(|(name, _)| name != PROVENANCE)
}
