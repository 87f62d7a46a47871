//! Files of rows: JSONL, JSON, CSV, text, Parquet.
//!
//! Cells arrive as the file has them: a CSV cell is text, and what a JSON or Parquet value means is kept. What has
//! parts (an array, an object, a list, a struct) arrives as JSON text.
//!
//! ```text
//! file ─► source ─► bounded ─► lines | json_array | document | csv ─► Cells ─► (column) ─► Rows
//!   │     UTF-8,    a row's    one row at a time                       ▲       texts of    counts, rewinds,
//!   │     or told   bytes                                              │       one column  says where it failed
//!   └───────────────────────────────────────────────────────► parquet ─┘
//! ```

mod bounded;
mod cell;
mod column;
mod csv;
mod document;
mod json;
mod json_array;
mod json_file;
mod lines;
mod parquet;
#[cfg(test)]
mod published_tests;
mod source;
#[cfg(test)]
mod tests;

use crate::{
    error::{Refusal, short},
    value::Value,
};
use bounded::Budget;
use cell::Cells;
use column::Column;
use parquet::PAGES;
use source::Source;
use std::{fs::File, io, path::Path, sync::Arc};

/// Characters of a sentence.
const SENTENCE: usize = 1_000;

/// A row's values by name, in the file's order, as scripts see them.
pub type Fields = Vec<(String, Value)>;

/// Reads one row after another. A failure is a sentence that begins with its place.
trait Reader: Send {
    /// The next row; `None` at the end.
    fn next_row(&mut self) -> Result<Option<Cells>, String>;

    /// Where the row is in its file that was read last: `line 3`.
    fn place(&self) -> String;

    /// Rows of the file, where the format says them.
    fn length(&self) -> Option<u64> {
        None
    }
}

/// What a file's rows are written in.
#[derive(Clone, Copy)]
enum Format {
    JsonLines,
    Json,
    Csv,
    Tabs,
    Text,
    Parquet,
}

impl Format {
    fn of(path: &Path) -> Result<Self, String> {
        let ending = |path: &Path| {
            let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
            ending.unwrap_or_default()
        };
        let last = ending(path);
        // That it is compressed, its first bytes tell.
        let is_compressed = matches!(&*last, "gz" | "zst");
        let inner = if is_compressed {
            ending(Path::new(path.file_stem().unwrap_or_default()))
        } else {
            last
        };
        match &*inner {
            "jsonl" | "ndjson" => Ok(Self::JsonLines),
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            "tsv" => Ok(Self::Tabs),
            "txt" => Ok(Self::Text),
            "parquet" if !is_compressed => Ok(Self::Parquet),
            "parquet" => {
                Err("a Parquet file is not read through gzip or Zstandard: decompress it"
                    .to_owned())
            }
            other => Err(format!(
                "the ending '{other}' is not one of .jsonl, .ndjson, .json, .csv, .tsv, .txt (each also with .gz or .zst) and .parquet"
            )),
        }
    }

    /// A reader at the file's first row.
    fn reader(self, file: &Arc<File>) -> Result<Box<dyn Reader>, String> {
        let source = Source::new(file);
        Ok(match self {
            Self::JsonLines => json_file::reader(&source, true)?,
            Self::Json => json_file::reader(&source, false)?,
            Self::Csv => Box::new(csv::Csv::new(&source)?),
            Self::Tabs => Box::new(csv::Csv::separated(&source, b'\t')?),
            Self::Text => Box::new(lines::Text::new(source.text()?)),
            Self::Parquet => match source.foreign() {
                Some(kind) => return Err(kind.to_owned()),
                None => Box::new(parquet::Parquet::new(file, Budget::new(PAGES))?),
            },
        })
    }
}

/// An open dataset.
pub struct Rows {
    /// What a sentence begins with: the dataset and its file.
    subject: String,
    file: Arc<File>,
    format: Format,
    /// The one column that is read, as text; none for all as they are.
    column: Option<String>,
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
        Ok(Self {
            subject,
            file,
            format,
            column: None,
            reader,
            index: 0,
            length: None,
            failure: None,
        })
    }

    /// Opens a column of a file, whose every cell must be text and not empty: what prompts are made of.
    ///
    /// # Errors
    /// As [`Self::open`]; a column that the first row does not have is not found, and the sentence lists those it has.
    pub fn open_column(name: &str, column: &str, path: &Path) -> Result<Self, Refusal> {
        let mut rows = Self::open(name, path).map_err(Refusal::InvalidArgument)?;
        let first = rows.reader.next_row();
        let first = first.map_err(|reason| Refusal::InvalidArgument(rows.failed(&reason)))?;
        if let Some(reason) = first.and_then(|cells| Column::missing(column, &cells)) {
            return Err(Refusal::NotFound(rows.failed(&reason)));
        }
        rows.column = Some(column.to_owned());
        rows.rewind().map_err(Refusal::InvalidArgument)?;
        Ok(rows)
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
            Ok(cells) => Ok(cells.map(|cells| {
                self.index += 1;
                let values = cells.into_iter().map(|(name, cell)| (name, cell.into()));
                (self.index - 1, values.collect())
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
        let reader = self.format.reader(&self.file);
        let reader = reader.map_err(|reason| format!("{}: {reason}", self.subject))?;
        Ok(match &self.column {
            Some(column) => Box::new(Column::new(reader, column)),
            None => reader,
        })
    }
}
