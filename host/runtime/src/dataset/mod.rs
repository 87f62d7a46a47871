//! Reads files of rows: JSONL, JSON, CSV, text, Parquet.
//!
//! Cells keep the type that the file gives them: a CSV cell is text, and JSON and Parquet values keep their meaning. A
//! value with parts (an array, an object, a list, a struct) becomes JSON text.
//!
//! ```text
//! file ─► text_source ─► bounded_reader ─► line_reader | json_array | json_document | csv ─► Cells
//!   │     UTF-8, or an   limits a row's    reads one row at a time                             ▲  │
//!   │     error          bytes                                                                 │  │
//!   └───────────────────────────────────────────────────────────────────────────────► parquet ─┘  │
//!                                                                                                 ▼
//!                                                        (text_column: one column as texts) ─► OpenDataset
//! ```
//!
//! A [`FileError`] is why a file cannot be opened, and a [`RowError`] why a row cannot be read. A [`DatasetError`] holds
//! either, and puts the dataset's name and its file before the sentence.

mod bounded_reader;
mod cell;
mod csv;
mod dataset_error;
mod file_error;
mod json;
mod json_array;
mod json_document;
mod json_file;
mod line_reader;
mod parquet;
#[cfg(test)]
mod published_tests;
mod row_error;
#[cfg(test)]
mod tests;
mod text_column;
mod text_source;

use crate::input_value::InputValue;
use bounded_reader::Budget;
use cell::Cells;
use dataset_error::{DatasetCause, DatasetError};
use file_error::FileError;
use parquet::PAGES;
use row_error::{RowError, RowPlace};
use std::{fs::File, path::Path, sync::Arc};
use text_column::TextColumn;
use text_source::TextSource;

/// The values of a row by name, in the order of the file, as scripts see them.
pub(crate) type Fields = Vec<(String, InputValue)>;

/// Reads one row after another.
trait RowReader: Send {
    /// Returns the next row, or `None` at the end.
    fn next_row(&mut self) -> Result<Option<Cells>, RowError>;

    /// The position in the file of the row that was read last.
    fn place(&self) -> RowPlace;

    /// The number of rows, or `None` if the format does not state it.
    fn length(&self) -> Option<u64> {
        None
    }
}

/// The formats of dataset files.
#[derive(Clone, Copy)]
enum FileFormat {
    JsonLines,
    Json,
    Csv,
    Tabs,
    Text,
    Parquet,
}

impl FileFormat {
    fn from_path(path: &Path) -> Result<Self, FileError> {
        let ending = |path: &Path| {
            let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
            ending.unwrap_or_default()
        };
        let last = ending(path);
        // The first bytes of a file show whether it is compressed, so the ending only selects the format.
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
            "parquet" => Err(FileError::CompressedParquet),
            other => Err(FileError::UnknownEnding(other.to_owned())),
        }
    }

    /// Opens a reader at the first row.
    fn reader(self, file: &Arc<File>) -> Result<Box<dyn RowReader>, FileError> {
        let source = TextSource::new(file);
        Ok(match self {
            Self::JsonLines => json_file::reader(&source, true)?,
            Self::Json => json_file::reader(&source, false)?,
            Self::Csv => Box::new(csv::Csv::new(&source)?),
            Self::Tabs => Box::new(csv::Csv::separated(&source, b'\t')?),
            Self::Text => Box::new(line_reader::TextLines::new(source.text()?)),
            Self::Parquet => match source.foreign() {
                Some(format) => return Err(format.into()),
                None => Box::new(parquet::Parquet::new(file, Budget::new(PAGES))?),
            },
        })
    }
}

/// A dataset that a script has open.
#[allow(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct OpenDataset {
    /// The dataset and its file, with which every message begins.
    subject: String,
    file: Arc<File>,
    format: FileFormat,
    /// The one column that is read, as text. `None` reads all columns unchanged.
    column: Option<String>,
    reader: Box<dyn RowReader>,
    /// The number of rows that were read.
    index: u64,
    /// The number of all rows, once they were counted.
    length: Option<u64>,
    /// Why no further row can be read.
    failure: Option<DatasetError>,
}

impl OpenDataset {
    /// Opens a file. Its ending selects the format.
    ///
    /// # Errors
    /// Fails if the file cannot be read, if its ending is unknown, or if its beginning is damaged.
    pub(crate) fn open(name: &str, path: &Path) -> Result<Self, DatasetError> {
        let subject = format!("dataset '{name}', {}", path.display());
        let opened = || {
            let format = FileFormat::from_path(path)?;
            let file = Arc::new(File::open(path)?);
            let reader = format.reader(&file)?;
            Ok((file, format, reader))
        };
        let (file, format, reader) =
            opened().map_err(|error: FileError| DatasetError::new(&subject, error))?;
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

    /// Opens one column of a file, for prompts. Every cell of the column must be text and not empty.
    ///
    /// # Errors
    /// Fails as [`Self::open`] does. Also fails if the first row lacks the column, with an error that lists its
    /// columns.
    pub(crate) fn open_column(name: &str, column: &str, path: &Path) -> Result<Self, DatasetError> {
        let mut rows = Self::open(name, path)?;
        let first = rows.reader.next_row().map_err(|error| rows.failed(error))?;
        if let Some(missing) = first.and_then(|cells| TextColumn::missing(column, &cells)) {
            return Err(rows.failed(missing));
        }
        rows.column = Some(column.to_owned());
        rows.rewind()?;
        Ok(rows)
    }

    /// Returns the next row with its index from 0, or `None` at the end.
    ///
    /// # Errors
    /// Fails if the row cannot be read. Later calls return the same error until [`Self::rewind`].
    pub(crate) fn next_row(&mut self) -> Result<Option<(u64, Fields)>, DatasetError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        match self.reader.next_row() {
            Ok(cells) => Ok(cells.map(|cells| {
                self.index += 1;
                let values = cells.into_iter().map(|(name, cell)| (name, cell.into()));
                (self.index - 1, values.collect())
            })),
            Err(error) => {
                let failure = self.failed(error);
                self.failure = Some(failure.clone());
                Err(failure)
            }
        }
    }

    /// Goes back to the first row.
    ///
    /// # Errors
    /// Fails if the beginning of the file can no longer be read.
    pub(crate) fn rewind(&mut self) -> Result<(), DatasetError> {
        self.reader = self.fresh_reader()?;
        (self.index, self.failure) = (0, None);
        Ok(())
    }

    /// The number of rows. If the format does not state it, the first call reads the whole file, in time that is linear
    /// in its size. The position of [`Self::next_row`] does not change.
    ///
    /// # Errors
    /// Fails as [`Self::next_row`] does, for the first row that cannot be read.
    pub(crate) fn length(&mut self) -> Result<u64, DatasetError> {
        if let Some(length) = self.length.or_else(|| self.reader.length()) {
            return Ok(length);
        }
        let (mut reader, mut length) = (self.fresh_reader()?, 0);
        while reader.next_row().map_err(|error| self.failed(error))?.is_some() {
            length += 1;
        }
        self.length = Some(length);
        Ok(length)
    }

    fn failed(&self, cause: impl Into<DatasetCause>) -> DatasetError {
        DatasetError::new(&self.subject, cause)
    }

    fn fresh_reader(&self) -> Result<Box<dyn RowReader>, DatasetError> {
        let reader = self.format.reader(&self.file).map_err(|error| self.failed(error))?;
        Ok(match &self.column {
            Some(column) => Box::new(TextColumn::new(reader, column)),
            None => reader,
        })
    }
}
