//! Reads Parquet through the record interface of the crate `parquet`, without Arrow.
//!
//! The crate decodes values. [`pages`] decompresses within a budget and checks that a page can hold what it claims. The
//! crate panics on some damaged files and on column types that it does not know. Such a panic becomes an error here.

mod pages;

use super::{
    RowReader,
    bounded_reader::Budget,
    cell::{Cell, Cells},
    file_error::FileError,
    json,
    row_error::{RowError, RowPlace},
};
use crate::input_value::InputValue;
use pages::{ParquetFile, RowGroup};
use parquet::{
    errors::ParquetError,
    file::metadata::{ParquetMetaData, ParquetMetaDataReader},
    record::{
        Field,
        reader::{ReaderIter, TreeBuilder},
    },
};
use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

/// The most bytes that decompressed pages may take until the next row is reached, 512 MiB. Writers end a page after
/// about 1 MB or 1,024 rows, so a column of contexts of 256 KB fills 256 MB.
pub(super) const PAGES: u64 = 512 << 20;

pub(super) struct Parquet {
    chunk: Arc<ParquetFile>,
    metadata: ParquetMetaData,
    budget: Budget,
    /// The index from 0 of the row group that is being read.
    group: usize,
    rows: Option<ReaderIter>,
    /// The number of rows that were read.
    count: u64,
}

impl Parquet {
    /// Reads the footer of a file. `budget` limits, for each row, the bytes of compressed and decompressed pages and of
    /// the values of dictionaries and lists.
    pub(super) fn new(file: &Arc<File>, budget: Budget) -> Result<Self, FileError> {
        let chunk = Arc::new(ParquetFile::new(file, &budget)?);
        let metadata = catch_panic(|| ParquetMetaDataReader::new().parse_and_finish(&*chunk))?;
        if metadata.file_metadata().schema_descr().num_columns() == 0 {
            return Err(FileError::NoColumns);
        }
        Ok(Self { chunk, metadata, budget, group: 0, rows: None, count: 0 })
    }

    /// Opens the current row group, or returns `None` after the last one.
    fn open_group(&self) -> Result<Option<ReaderIter>, ParquetReadError> {
        if self.group == self.metadata.num_row_groups() {
            return Ok(None);
        }
        let group = RowGroup {
            metadata: self.metadata.row_group(self.group).clone(),
            chunk: Arc::clone(&self.chunk),
            budget: self.budget.clone(),
        };
        let schema = self.metadata.file_metadata().schema_descr_ptr();
        catch_panic(|| TreeBuilder::new().as_iter(schema, &group)).map(Some)
    }

    fn read(&mut self) -> Result<Option<Cells>, ParquetReadError> {
        loop {
            if self.rows.is_none() {
                self.rows = self.open_group()?;
            }
            let Some(rows) = &mut self.rows else { return Ok(None) };
            let row = catch_panic(|| {
                let row = rows.next().transpose()?;
                Ok(row.map(|row| {
                    row.into_columns()
                        .into_iter()
                        .map(|(name, field)| (name, cell(field)))
                        .collect()
                }))
            })?;
            if row.is_some() {
                return Ok(row);
            }
            (self.group, self.rows) = (self.group + 1, None);
        }
    }
}

impl RowReader for Parquet {
    fn next_row(&mut self) -> Result<Option<Cells>, RowError> {
        self.budget.renew();
        let place = RowPlace::Row(self.count + 1);
        let row = self.read().map_err(|error| RowError::new(place, error))?;
        self.count += u64::from(row.is_some());
        Ok(row)
    }

    fn place(&self) -> RowPlace {
        RowPlace::Row(self.count)
    }

    fn length(&self) -> Option<u64> {
        let rows = self.metadata.row_groups().iter().map(|group| group.num_rows().max(0) as u64);
        Some(rows.sum())
    }
}

/// Converts a Parquet value into the cell that the same value has in JSON, apart from numbers that JSON cannot write.
/// Scripts see bytes in base64, decimals, dates and times as text, and a missing value as `null`.
fn cell(field: Field) -> Cell {
    let what = match &field {
        Field::Bytes(_) => Some("bytes"),
        Field::Decimal(_) => Some("a decimal"),
        Field::Date(_)
        | Field::TimeMillis(_)
        | Field::TimeMicros(_)
        | Field::TimestampMillis(_)
        | Field::TimestampMicros(_) => Some("a date or time"),
        _ => None,
    };
    match (field, what) {
        (Field::Str(text), _) => Cell::text(text),
        (Field::Float16(number), _) => Cell::Plain(InputValue::Number(number.into())),
        (Field::Float(number), _) => Cell::Plain(InputValue::Number(number.into())),
        (Field::Double(number), _) => Cell::Plain(InputValue::Number(number)),
        (other, None) => json::cell(other.to_json_value()),
        (other, Some(what)) => match json::cell(other.to_json_value()) {
            Cell::Plain(InputValue::Text(text)) => Cell::AsText { what, text },
            cell => cell,
        },
    }
}

/// Why the crate `parquet` cannot read a part of a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum ParquetReadError {
    /// The crate, or our code that it calls, returned an error.
    #[error("{}", sentence(.0))]
    Library(ParquetError),
    /// The crate panicked.
    #[error(
        "the file is damaged, or has a column of a type that is not read: write it again with plain types"
    )]
    Panicked,
}

/// The sentence of an error, without the words "Parquet error" where they would come before one of our own.
fn sentence(error: &ParquetError) -> String {
    match error {
        ParquetError::General(reason) | ParquetError::EOF(reason) => reason.clone(),
        error => error.to_string(),
    }
}

/// Calls the crate `parquet`. A panic becomes an error.
fn catch_panic<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetReadError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(ParquetReadError::Library),
        Err(_) => Err(ParquetReadError::Panicked),
    }
}
