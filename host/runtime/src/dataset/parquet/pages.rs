//! Reads the pages of a Parquet file and decompresses them within a budget.
//!
//! The crate `parquet` would decompress a page of any size, and would allocate as many values as a page claims. So it
//! is told that pages are not compressed, and pages are decompressed and checked here.

use super::super::bounded_reader::Budget;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parquet::{
    basic::{Compression, Encoding},
    bloom_filter::Sbbf,
    column::page::{Page, PageMetadata, PageReader},
    errors::{ParquetError, Result},
    file::{
        metadata::RowGroupMetaData,
        reader::{ChunkReader, Length, RowGroupReader},
        serialized_reader::SerializedPageReader,
    },
    record::{Field, reader::RowIter},
    schema::types::Type,
};
use ruzstd::decoding::StreamingDecoder;
use std::{
    fs::File,
    io::{self, BufReader, Read},
    os::unix::fs::FileExt,
    sync::Arc,
};

/// The approximate size of a value in memory, in bytes.
const VALUE: u64 = size_of::<Field>() as u64;

/// A file that is read in ranges.
pub(super) struct ParquetFile {
    file: Arc<File>,
    length: u64,
    budget: Budget,
}

impl ParquetFile {
    pub(super) fn new(file: &Arc<File>, budget: &Budget) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file: Arc::clone(file), length, budget: budget.clone() })
    }
}

impl Length for ParquetFile {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for ParquetFile {
    type T = BufReader<Tail>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::new(Tail { file: Arc::clone(&self.file), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(ParquetError::EOF("the file ends before its data does".to_owned()));
        }
        self.budget.spend(length as u64)?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// Reads a file from a position to its end.
pub(super) struct Tail {
    file: Arc<File>,
    at: u64,
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

pub(super) struct RowGroup {
    /// The row group's metadata from the footer.
    pub metadata: RowGroupMetaData,
    pub chunk: Arc<ParquetFile>,
    /// The bytes that a row may take.
    pub budget: Budget,
}

impl RowGroupReader for RowGroup {
    fn metadata(&self) -> &RowGroupMetaData {
        &self.metadata
    }

    fn num_columns(&self) -> usize {
        self.metadata.num_columns()
    }

    fn get_column_page_reader(&self, column: usize) -> Result<Box<dyn PageReader>> {
        let column = self.metadata.column(column);
        let plain = column.clone().into_builder().set_compression(Compression::UNCOMPRESSED);
        let rows = usize::try_from(self.metadata.num_rows())?;
        let values = u64::try_from(column.num_values())?;
        let is_list = column.column_descr().max_rep_level() > 0;
        // The crate would treat values that are absent as null.
        if values < rows as u64 || (values > rows as u64 && !is_list) {
            return Err(ParquetError::General(format!(
                "column {} has {values} values for {rows} rows",
                column.column_path()
            )));
        }
        Ok(Box::new(ColumnPages {
            pages: SerializedPageReader::new(Arc::clone(&self.chunk), &plain.build()?, rows, None)?,
            compression: column.compression(),
            is_list,
            values_left: values,
            budget: self.budget.clone(),
        }))
    }

    fn get_column_bloom_filter(&self, _: usize) -> Option<&Sbbf> {
        None
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

/// The pages of one column of a row group.
struct ColumnPages {
    pages: SerializedPageReader<ParquetFile>,
    compression: Compression,
    /// Whether a row may have several values in this column.
    is_list: bool,
    /// The number of values that are still to come, according to the footer.
    values_left: u64,
    budget: Budget,
}

impl ColumnPages {
    fn decompressed(&self, bytes: Bytes) -> Result<Bytes> {
        if bytes.is_empty() {
            return Ok(bytes);
        }
        match self.compression {
            Compression::UNCOMPRESSED => Ok(bytes),
            Compression::SNAPPY => {
                let length = snap::raw::decompress_len(&bytes).map_err(damaged)?;
                self.budget.spend(length as u64)?;
                Ok(snap::raw::Decoder::new().decompress_vec(&bytes).map_err(damaged)?.into())
            }
            Compression::GZIP(_) => self.read(MultiGzDecoder::new(&*bytes)),
            Compression::ZSTD(_) => self.read(StreamingDecoder::new(&*bytes).map_err(damaged)?),
            other => Err(ParquetError::General(format!(
                "the compression {other} is not read: write the file again with snappy, zstd or gzip"
            ))),
        }
    }

    /// Reads a decoder to its end, within the row's budget.
    fn read(&self, decoder: impl Read) -> Result<Bytes> {
        let mut bytes = Vec::new();
        let count =
            decoder.take(self.budget.left() + 1).read_to_end(&mut bytes).map_err(damaged)?;
        self.budget.spend(count as u64)?;
        Ok(bytes.into())
    }

    /// Decompresses a page and checks that it can hold what it claims.
    fn checked(&self, page: Page) -> Result<Page> {
        if let Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY = page.encoding() {
            // For these encodings, the crate allocates as many values as the page claims.
            return Err(ParquetError::General(format!(
                "the encoding {} is not read: write the file again with plain or dictionary encoding",
                page.encoding()
            )));
        }
        if self.is_list {
            self.budget.spend(u64::from(page.num_values()) * VALUE)?;
        }
        Ok(match page {
            Page::DataPage {
                buf,
                num_values,
                encoding,
                def_level_encoding,
                rep_level_encoding,
                statistics,
            } => Page::DataPage {
                buf: self.decompressed(buf)?,
                num_values,
                encoding,
                def_level_encoding,
                rep_level_encoding,
                statistics,
            },
            Page::DataPageV2 {
                buf,
                num_values,
                encoding,
                num_nulls,
                num_rows,
                def_levels_byte_len,
                rep_levels_byte_len,
                is_compressed,
                statistics,
            } => {
                let levels = def_levels_byte_len as usize + rep_levels_byte_len as usize;
                if levels > buf.len() {
                    return Err(ParquetError::General("a page is shorter than it says".to_owned()));
                }
                let buf = match is_compressed {
                    true => {
                        let values = self.decompressed(buf.slice(levels..))?;
                        [&buf[..levels], &values].concat().into()
                    }
                    false => buf,
                };
                Page::DataPageV2 {
                    buf,
                    num_values,
                    encoding,
                    num_nulls,
                    num_rows,
                    def_levels_byte_len,
                    rep_levels_byte_len,
                    is_compressed: false,
                    statistics,
                }
            }
            Page::DictionaryPage { buf, num_values, encoding, is_sorted } => {
                let buf = self.decompressed(buf)?;
                if num_values as usize > buf.len() {
                    return Err(ParquetError::General(format!(
                        "a dictionary claims {num_values} values and has {} bytes",
                        buf.len()
                    )));
                }
                self.budget.spend(u64::from(num_values) * VALUE)?;
                Page::DictionaryPage { buf, num_values, encoding, is_sorted }
            }
        })
    }
}

impl Iterator for ColumnPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for ColumnPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let Some(page) = self.pages.get_next_page()? else {
            return match self.values_left {
                0 => Ok(None),
                _ => Err(ParquetError::EOF("a column ends before its row group does".to_owned())),
            };
        };
        if page.is_data_page() {
            let left = self.values_left.checked_sub(page.num_values().into());
            self.values_left = left.ok_or_else(|| {
                ParquetError::General("a column has more values than its row group".to_owned())
            })?;
        }
        self.checked(page).map(Some)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }
}

fn damaged(error: impl std::fmt::Display) -> ParquetError {
    ParquetError::General(format!("a page is damaged: {error}"))
}
