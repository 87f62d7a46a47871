//! Parquet, read with the record interface of the crate `parquet`, without Arrow.
//!
//! The crate decodes; [`pages`] decompresses, within a budget, and holds pages to what they can contain. The crate
//! panics on some damaged files and on column types that it does not know: such a panic is a refusal here.

mod pages;

use super::{
    Reader,
    bounded::Budget,
    cell::{Cell, Cells},
    json,
};
use crate::value::Value;
use pages::{Chunk, Group};
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

/// Bytes that pages may take once they are decompressed, until the next row is reached. Writers end a page after
/// about 1 MB or 1,024 rows, so that a column of contexts of 256 KB fills 256 MB.
pub const PAGES: u64 = 512 << 20;

/// An open Parquet file.
pub struct Parquet {
    chunk: Arc<Chunk>,
    metadata: ParquetMetaData,
    budget: Budget,
    /// The row group that is read, from 0, and its rows.
    group: usize,
    rows: Option<ReaderIter>,
    /// Rows that were read.
    count: u64,
}

impl Parquet {
    /// Reads the file's footer. `budget` is what may be used until a row is reached: of compressed and decompressed
    /// pages, and of the values of dictionaries and lists, bytes.
    pub fn new(file: &Arc<File>, budget: Budget) -> Result<Self, String> {
        let chunk = Arc::new(Chunk::new(file, &budget).map_err(|error| error.to_string())?);
        let metadata = guarded(|| ParquetMetaDataReader::new().parse_and_finish(&*chunk))?;
        if metadata.file_metadata().schema_descr().num_columns() == 0 {
            return Err("the file has no columns".to_owned());
        }
        Ok(Self { chunk, metadata, budget, group: 0, rows: None, count: 0 })
    }

    /// The rows of the row group that is read; `None` after the last.
    fn open_group(&self) -> Result<Option<ReaderIter>, String> {
        if self.group == self.metadata.num_row_groups() {
            return Ok(None);
        }
        let group = Group {
            metadata: self.metadata.row_group(self.group).clone(),
            chunk: Arc::clone(&self.chunk),
            budget: self.budget.clone(),
        };
        let schema = self.metadata.file_metadata().schema_descr_ptr();
        guarded(|| TreeBuilder::new().as_iter(schema, &group)).map(Some)
    }

    fn read(&mut self) -> Result<Option<Cells>, String> {
        loop {
            if self.rows.is_none() {
                self.rows = self.open_group()?;
            }
            let Some(rows) = &mut self.rows else { return Ok(None) };
            let row = guarded(|| {
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

impl Reader for Parquet {
    fn next_row(&mut self) -> Result<Option<Cells>, String> {
        self.budget.renew();
        let row = self.read().map_err(|reason| format!("row {}: {reason}", self.count + 1))?;
        self.count += u64::from(row.is_some());
        Ok(row)
    }

    fn place(&self) -> String {
        format!("row {}", self.count)
    }

    fn length(&self) -> Option<u64> {
        let rows = self.metadata.row_groups().iter().map(|group| group.num_rows().max(0) as u64);
        Some(rows.sum())
    }
}

/// A Parquet value as the cell that the same value is in JSON, apart from numbers that JSON has no words for. Scripts see
/// bytes in base64, decimals, dates and times as text, a missing value as `null`.
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
        (Field::Float16(number), _) => Cell::Plain(Value::Number(number.into())),
        (Field::Float(number), _) => Cell::Plain(Value::Number(number.into())),
        (Field::Double(number), _) => Cell::Plain(Value::Number(number)),
        (other, None) => json::cell(other.to_json_value()),
        (other, Some(what)) => match json::cell(other.to_json_value()) {
            Cell::Plain(Value::Text(text)) => Cell::Told { what, text },
            cell => cell,
        },
    }
}

/// What the crate does, as a sentence where it fails or panics.
fn guarded<T>(work: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(ParquetError::General(reason) | ParquetError::EOF(reason))) => Err(reason),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the file is damaged, or has a column of a type that is not read: write it again with plain types".to_owned()),
    }
}
