//! The samples of the devices beside the record of a run, as Parquet files in `timeline/`.
//!
//! A Parquet file can be read only after it is closed, so a run writes one file after another, and a crash loses the samples
//! that are not in a file yet. The first file is small, and each is up to twice as large as the one before, so that a short
//! run loses at most half of its samples and a long run has few files.

use crate::error::Error;
use parquet::{
    basic::Compression,
    file::{
        properties::WriterProperties, reader::FileReader, serialized_reader::SerializedFileReader,
        writer::SerializedFileWriter,
    },
    record::RecordWriter,
};
use parquet_derive::ParquetRecordWriter;
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The name of the folder within the run's folder.
const FOLDER: &str = "timeline";

/// Rows of the first file: ten seconds of one domain at 10 ms.
const FEWEST_ROWS: usize = 1_000;

/// The most rows of a file: ten minutes of one domain at 10 ms.
const MOST_ROWS: usize = 60_000;

/// The most rows that wait while files cannot be written: about 100 MB.
const HELD_ROWS: usize = 10 * MOST_ROWS;

/// One sample of a power domain: a row of the Parquet files.
#[derive(Clone, Debug, Default, ParquetRecordWriter)]
pub struct TimelineRow {
    /// Nanoseconds since the run began.
    pub t_ns: i64,
    /// The device's id.
    pub device: String,
    /// The domain's name within the device.
    pub domain: String,
    /// Power at that time, W.
    pub power_w: Option<f64>,
    /// Energy since the meter started, J.
    pub energy_j: Option<f64>,
    /// Temperature at that time, Cel.
    pub temperature_cel: Option<f64>,
    /// Clock of the cores, MHz.
    pub core_clock_mhz: Option<f64>,
    /// Clock of the memory, MHz.
    pub memory_clock_mhz: Option<f64>,
    /// Share of the time in which the device is busy, %.
    pub utilisation_percent: Option<f64>,
    /// Memory in use, bytes.
    pub memory_used_bytes: Option<f64>,
    /// Why the device was held below its clock, joined by `+`.
    pub throttle_reasons: Option<String>,
}

/// Writes samples to Parquet files.
pub struct TimelineWriter {
    folder: PathBuf,
    rows: Vec<TimelineRow>,
    /// The number of rows at which the next file is written.
    due: usize,
    written: WrittenFiles,
}

/// The files that were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenFiles {
    /// The paths of the files within the run's folder.
    pub files: Vec<String>,
    /// Number of rows in the files.
    pub rows: u64,
    /// Number of rows that were dropped, because too many waited while files could not be written.
    pub lost: u64,
}

impl TimelineWriter {
    /// Writes to the folder of a run.
    pub fn new(run: &Path) -> Self {
        let written = WrittenFiles::default();
        Self { folder: run.to_path_buf(), rows: Vec::new(), due: FEWEST_ROWS, written }
    }

    /// Adds rows, and writes a file if there are enough.
    ///
    /// # Errors
    /// The file cannot be written. The rows wait, and are written with later ones.
    pub fn add(&mut self, rows: impl IntoIterator<Item = TimelineRow>) -> Result<(), Error> {
        for row in rows {
            if self.rows.len() < HELD_ROWS {
                self.rows.push(row);
            } else {
                self.written.lost += 1;
            }
        }
        if self.rows.len() < self.due {
            return Ok(());
        }
        let outcome = self.write();
        let next = FEWEST_ROWS << self.written.files.len().min(16);
        self.due = (self.rows.len() + next.min(MOST_ROWS)).min(HELD_ROWS);
        outcome
    }

    /// Writes the rows that still wait.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(&mut self) -> Result<(), Error> {
        if self.rows.is_empty() { Ok(()) } else { self.write() }
    }

    /// Returns the files that were written so far.
    pub fn written(&self) -> &WrittenFiles {
        &self.written
    }

    fn write(&mut self) -> Result<(), Error> {
        let name = file_name(self.written.files.len());
        let path = self.folder.join(&name);
        fs::create_dir_all(self.folder.join(FOLDER))
            .and_then(|()| {
                llem_files::write_with(&path, |file| {
                    write_parquet(file, &self.rows).map_err(io::Error::other)
                })
            })
            .map_err(|source| Error::Io { path, source })?;
        self.written.rows += self.rows.len() as u64;
        self.written.files.push(name);
        self.rows.clear();
        Ok(())
    }
}

fn file_name(number: usize) -> String {
    format!("{FOLDER}/part-{number:04}.parquet")
}

/// Finds the files that a run has left in its folder, and counts their rows. The search ends at the first file that is
/// missing or cannot be read.
pub(crate) fn find_files(run: &Path) -> (Vec<String>, u64) {
    let rows = |name: &String| {
        let file = File::open(run.join(name)).ok()?;
        let reader = SerializedFileReader::new(file).ok()?;
        u64::try_from(reader.metadata().file_metadata().num_rows()).ok()
    };
    let whole = (0..).map(file_name).map_while(|name| Some((rows(&name)?, name)));
    let (rows, files): (Vec<u64>, Vec<String>) = whole.unzip();
    (files, rows.iter().sum())
}

fn write_parquet(file: &mut File, rows: &[TimelineRow]) -> parquet::errors::Result<()> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let schema = rows.schema()?;
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    rows.write_to_row_group(&mut group)?;
    group.close()?;
    writer.close()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_found_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = TimelineWriter::new(folder.path());
        let rows = |count| (0..count).map(|t_ns| TimelineRow { t_ns, ..TimelineRow::default() });
        for _ in 0..35 {
            writer.add(rows(100)).expect("written");
        }
        let expected = (vec![file_name(0), file_name(1)], 3000);
        assert_eq!(find_files(folder.path()), expected);
        writer.finish().expect("written");
        assert_eq!(find_files(folder.path()).1, 3500);
        let WrittenFiles { files, rows, lost } = writer.written().clone();
        assert_eq!(((files, rows), lost), (find_files(folder.path()), 0));
    }

    #[test]
    fn rows_that_could_not_be_written_are_written_later() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = TimelineWriter::new(folder.path());
        // A file where the folder is to be.
        fs::write(folder.path().join(FOLDER), "").expect("written");
        let rows = (0..1000).map(|t_ns| TimelineRow { t_ns, ..TimelineRow::default() });
        writer.add(rows).expect_err("there is no folder");
        fs::remove_file(folder.path().join(FOLDER)).expect("removed");
        writer.finish().expect("written");
        assert_eq!((writer.written().rows, writer.written().lost), (1000, 0));
    }
}
