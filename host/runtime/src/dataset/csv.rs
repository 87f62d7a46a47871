//! Reads CSV files. The first record names the columns, and every cell is text.

use super::{
    RowReader,
    bounded_reader::{BoundedReader, Budget},
    cell::{Cell, Cells},
    file_error::FileError,
    row_error::{RowCause, RowError, RowPlace},
    text_source::{InvalidUtf8, TextSource, utf8},
};
use csv::ByteRecord;
use std::{
    collections::HashSet,
    io::{BufReader, Chain, Read},
};

/// Bytes that are read after the end of the file. They form a record of their own unless a quote in the file is still
/// open.
const END: &[u8] = b"\n\0";

/// Why the first record of a file cannot name the columns.
#[derive(Debug, thiserror::Error)]
pub(super) enum HeaderError {
    /// The file has no record.
    #[error("it is empty: its first line is to name the columns")]
    Empty,
    /// Two columns have this name.
    #[error("two columns are named '{0}': rename one")]
    Repeated(String),
}

/// What is wrong with a record.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecordError {
    /// The file cannot be read, or the record is too large.
    #[error(transparent)]
    Read(#[from] csv::Error),
    #[error("a quote opens here, and none closes it: write quotes in cells twice")]
    OpenQuote,
    /// A cell is not UTF-8.
    #[error("{}{error}", prefix(.column))]
    Utf8 {
        /// The cell's column, or `None` if the header does not name it.
        column: Option<String>,
        error: InvalidUtf8,
    },
    /// The record has more or fewer cells than the header.
    #[error(
        "it has {cells} cells, and the header {columns}: put cells that hold separators or line ends in quotes"
    )]
    Length { cells: usize, columns: usize },
}

fn prefix(column: &Option<String>) -> String {
    column.as_ref().map_or_else(String::new, |name| format!("'{name}', "))
}

pub(super) struct Csv {
    source: TextSource,
    header: Vec<String>,
    reader: csv::Reader<Chain<BoundedReader, &'static [u8]>>,
    budget: Budget,
    /// The start of the record that was read last, in bytes of text.
    start: u64,
}

impl Csv {
    /// Reads the header of a file. Columns are separated by commas, or by semicolons or tabs if the header has no
    /// commas.
    pub(super) fn new(source: &TextSource) -> Result<Self, FileError> {
        let commas = Self::separated(source, b',')?;
        if commas.header.len() > 1 {
            return Ok(commas);
        }
        let others = [b';', b'\t'].map(|by| Self::separated(source, by).ok());
        Ok(others.into_iter().flatten().find(|csv| csv.header.len() > 1).unwrap_or(commas))
    }

    /// Reads the header of a file whose columns are separated by the character `by`.
    pub(super) fn separated(source: &TextSource, by: u8) -> Result<Self, FileError> {
        let bytes = source.text()?;
        let budget = bytes.budget();
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(by)
            .flexible(true)
            .has_headers(false)
            .from_reader(bytes.chain(END));
        let mut record = ByteRecord::new();
        reader
            .read_byte_record(&mut record)
            .map_err(|error| RowError::new(RowPlace::Line(1), RecordError::Read(error)))?;
        let mut csv = Self { source: source.clone(), header: Vec::new(), reader, budget, start: 0 };
        if is_end(&record) {
            return Err(HeaderError::Empty.into());
        }
        csv.header = csv.texts(&record)?;
        let mut names = HashSet::new();
        // Several columns without a name are allowed: they are an index, or result from commas at the ends of lines.
        let mut named = csv.header.iter().filter(|name| !name.is_empty());
        match named.find(|name| !names.insert(*name)) {
            Some(name) => Err(HeaderError::Repeated(name.clone()).into()),
            None => Ok(csv),
        }
    }

    fn texts(&self, record: &ByteRecord) -> Result<Vec<String>, RowError> {
        if record.iter().next_back().is_some_and(|cell| cell.ends_with(END)) {
            return Err(self.at(RecordError::OpenQuote));
        }
        let text = |(index, cell): (usize, &[u8])| {
            utf8(cell.to_vec()).map_err(|error| {
                let column = self.header.get(index).cloned();
                self.at(RecordError::Utf8 { column, error })
            })
        };
        record.iter().enumerate().map(text).collect()
    }

    fn at(&self, cause: impl Into<RowCause>) -> RowError {
        RowError::new(self.place(), cause)
    }
}

fn is_end(record: &ByteRecord) -> bool {
    record.len() == 1 && &record[0] == b"\0"
}

/// The line, from 1, of the record that begins `start` bytes into the text, after empty lines. Reads the file again
/// from its start.
fn line(source: &TextSource, start: u64) -> Option<u64> {
    let bytes = BufReader::new(source.unbounded().ok()?).bytes();
    let (mut line, mut is_halfway) = (1, false);
    for (at, byte) in (0..).zip(bytes) {
        let byte = byte.ok()?;
        match byte {
            b'\n' if is_halfway => {}
            b'\n' | b'\r' => line += 1,
            _ if at >= start => break,
            _ => {}
        }
        is_halfway = byte == b'\r';
    }
    Some(line)
}

impl RowReader for Csv {
    fn next_row(&mut self) -> Result<Option<Cells>, RowError> {
        self.budget.renew();
        self.start = self.reader.position().byte();
        let mut record = ByteRecord::new();
        let read = self.reader.read_byte_record(&mut record);
        let is_record = read.map_err(|error| self.at(RecordError::Read(error)))?;
        if !is_record || is_end(&record) {
            return Ok(None);
        }
        let cells = self.texts(&record)?;
        if cells.len() != self.header.len() {
            let (cells, columns) = (cells.len(), self.header.len());
            return Err(self.at(RecordError::Length { cells, columns }));
        }
        Ok(Some(self.header.iter().cloned().zip(cells.into_iter().map(Cell::text)).collect()))
    }

    fn place(&self) -> RowPlace {
        line(&self.source, self.start).map_or(RowPlace::Byte(self.start), RowPlace::Line)
    }
}
