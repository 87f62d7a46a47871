//! Why a file cannot be opened as a dataset.

use super::{
    csv::HeaderError,
    parquet::ParquetReadError,
    row_error::RowError,
    text_source::{ForeignFormat, InvalidUtf8},
};
use std::io;

/// Why a file cannot be opened as a dataset. The caller puts the dataset and the file before the sentence.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    /// The file's ending, without its dot, does not name a format.
    #[error(
        "the ending '{0}' is not one of .jsonl, .ndjson, .json, .csv, .tsv, .txt (each also with .gz or .zst) and .parquet"
    )]
    UnknownEnding(String),
    #[error("a Parquet file is not read through gzip or Zstandard: decompress it")]
    CompressedParquet,
    /// The ending names a text format, and the file is Parquet.
    #[error("it is a Parquet file: name it .parquet")]
    MisnamedParquet,
    /// The file has a format that no dataset has.
    #[error(transparent)]
    Foreign(#[from] ForeignFormat),
    /// The operating system cannot read the file, or its compression is damaged.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The first line of a CSV file does not name its columns.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A file of one JSON object cannot be read, or is larger than a row may be.
    #[error(
        "{0}; a file of one JSON object is read whole: write an object a line (in pandas orient='records', lines=True)"
    )]
    Document(io::Error),
    /// A file of one JSON object is not UTF-8.
    #[error(transparent)]
    Utf8(#[from] InvalidUtf8),
    /// The footer of a Parquet file cannot be read.
    #[error(transparent)]
    Parquet(#[from] ParquetReadError),
    /// A Parquet file holds no column.
    #[error("the file has no columns")]
    NoColumns,
    /// The first row or line is damaged.
    #[error(transparent)]
    Row(#[from] RowError),
}
