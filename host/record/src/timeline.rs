//! The sidecar of a run: what a sampler read of the devices, as Parquet files in `timeline/`.
//!
//! A Parquet file is readable once it is closed, so a run writes one file after another: a crash loses the last.

use crate::Error;
use parquet::{
    basic::Compression,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    record::RecordWriter,
};
use parquet_derive::ParquetRecordWriter;
use std::{
    fs::{self, File},
    io, mem,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Rows of a file, at most.
const ROWS: usize = 60_000;

/// A sample: of one power domain of one device.
#[derive(Clone, Debug, Default, ParquetRecordWriter)]
pub struct Row {
    /// Nanoseconds since the run began.
    pub t_ns: i64,
    /// The device's id.
    pub device: String,
    /// The power domain within it.
    pub domain: String,
    /// Power, W.
    pub power_w: Option<f64>,
    /// Joules since devices were first read.
    pub energy_j: Option<f64>,
    /// Temperature, Cel.
    pub temperature_cel: Option<f64>,
    /// Clock of the cores, MHz.
    pub core_clock_mhz: Option<f64>,
    /// Clock of the memory, MHz.
    pub memory_clock_mhz: Option<f64>,
    /// Busy share, %.
    pub utilisation_percent: Option<f64>,
    /// Memory in use, bytes.
    pub memory_used_bytes: Option<f64>,
    /// Why the device was held below its clock, joined by `+`.
    pub throttle_reasons: Option<String>,
}

/// Writes the files.
pub struct TimelineWriter {
    folder: PathBuf,
    rows: Vec<Row>,
    files: Vec<String>,
    samples: u64,
}

impl TimelineWriter {
    /// Files in the folder of a run.
    pub fn new(run: &Path) -> Self {
        Self { folder: run.to_path_buf(), rows: Vec::new(), files: Vec::new(), samples: 0 }
    }

    /// Adds rows.
    pub fn add(&mut self, rows: impl IntoIterator<Item = Row>) -> Result<(), Error> {
        self.rows.extend(rows);
        if self.rows.len() >= ROWS { self.write() } else { Ok(()) }
    }

    /// Writes what is left; returns the files within the run's folder and how many rows they hold.
    pub fn finish(mut self) -> Result<(Vec<String>, u64), Error> {
        if !self.rows.is_empty() {
            self.write()?;
        }
        Ok((self.files, self.samples))
    }

    /// Under another name first, so that every file in the folder is a whole one.
    fn write(&mut self) -> Result<(), Error> {
        let rows = mem::take(&mut self.rows);
        let name = format!("timeline/part-{:04}.parquet", self.files.len());
        let path = self.folder.join(&name);
        let unfinished = path.with_extension("unfinished");
        let failed = |source: io::Error| Error::Io { path: path.clone(), source };
        fs::create_dir_all(self.folder.join("timeline")).map_err(failed)?;
        let file = File::create(&unfinished).map_err(failed)?;
        write_parquet(file, &rows).map_err(|error| failed(io::Error::other(error)))?;
        fs::rename(&unfinished, &path).map_err(failed)?;
        self.samples += rows.len() as u64;
        self.files.push(name);
        Ok(())
    }
}

fn write_parquet(file: File, rows: &[Row]) -> parquet::errors::Result<()> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let schema = rows.schema()?;
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    rows.write_to_row_group(&mut group)?;
    group.close()?;
    writer.close()?;
    Ok(())
}
