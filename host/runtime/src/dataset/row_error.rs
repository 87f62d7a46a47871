//! Why a row cannot be read, and where it is.

use super::{
    csv::RecordError, json::JsonError, json_array::ArrayError, parquet::ParquetReadError,
    text_column::ColumnError, text_source::InvalidUtf8,
};
use std::{fmt, io};

/// Why a row cannot be read. The sentence begins with the position of the row.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {cause}")]
pub(super) struct RowError {
    place: RowPlace,
    cause: RowCause,
}

impl RowError {
    pub(super) fn new(place: RowPlace, cause: impl Into<RowCause>) -> Self {
        Self { place, cause: cause.into() }
    }
}

/// The position of a row in its file. Lines, elements and rows are counted from 1.
#[derive(Clone, Copy, Debug)]
pub(super) enum RowPlace {
    Line(u64),
    /// An element of a JSON array.
    Element(u64),
    /// A row of a format without lines.
    Row(u64),
    /// The number of bytes before the row, if its line is not known.
    Byte(u64),
}

impl fmt::Display for RowPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Element(element) => write!(f, "element {element}"),
            Self::Row(row) => write!(f, "row {row}"),
            Self::Byte(byte) => write!(f, "byte {byte}"),
        }
    }
}

/// What is wrong with a row.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowCause {
    /// The operating system cannot read the file, its compression is damaged, or the row is too large.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// A line is not UTF-8.
    #[error(transparent)]
    Utf8(#[from] InvalidUtf8),
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The elements of a JSON array are not separated or ended as JSON demands.
    #[error(transparent)]
    Array(#[from] ArrayError),
    /// A record of a CSV file is damaged.
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Parquet(#[from] ParquetReadError),
    /// The column that prompts are read from holds no text in this row.
    #[error(transparent)]
    Column(#[from] ColumnError),
}
