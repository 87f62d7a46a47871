//! The samples of the devices, read from `timeline/*.parquet` by columns.

use parquet::{
    column::reader::{ColumnReader, get_typed_column_reader},
    data_type::{ByteArrayType, DataType, DoubleType, Int64Type},
    errors::{ParquetError, Result},
    file::reader::{FileReader, SerializedFileReader},
    schema::types::ColumnDescPtr,
};
use std::{collections::BTreeMap, fs::File, path::Path};

/// The columns that a report shows, with their unit.
pub(crate) const SHOWN: [(&str, &str, &str); 6] = [
    ("power_w", "Power", "W"),
    ("temperature_cel", "Temperature", "°C"),
    ("core_clock_mhz", "Core clock", "MHz"),
    ("memory_clock_mhz", "Memory clock", "MHz"),
    ("utilisation_percent", "Utilisation", "%"),
    ("memory_used_bytes", "Memory in use", "B"),
];

/// The samples of a run.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// Number of samples in the files.
    pub rows: usize,
    /// The samples of each device and domain.
    pub domains: BTreeMap<(String, String), DomainSamples>,
}

/// The samples of a domain.
#[derive(Debug, Default)]
pub(crate) struct DomainSamples {
    /// For each column of [`SHOWN`], the times in seconds since the run began, and the values. Samples without a value are
    /// left out.
    pub columns: [(Vec<f64>, Vec<f32>); SHOWN.len()],
    /// Energy since the meter began: times in seconds, J. Power is derived from it if there is no sensor.
    pub energy: (Vec<f64>, Vec<f64>),
    /// Spans in which the device was held below its clock: seconds since the run began, and the reasons.
    pub throttled: Vec<(f64, f64, String)>,
}

impl Timeline {
    /// Reads the files of a run, in order, up to the first that is missing. A file that cannot be read becomes a note.
    pub(crate) fn read(folder: &Path, notes: &mut Vec<String>) -> Self {
        let mut timeline = Self::default();
        for number in 0.. {
            let name = format!("timeline/part-{number:04}.parquet");
            let Ok(file) = File::open(folder.join(&name)) else { break };
            if let Err(error) = timeline.add_file(file) {
                notes.push(format!(
                    "{name} cannot be read, so its samples are missing here: {error}"
                ));
            }
        }
        timeline
    }

    fn add_file(&mut self, file: File) -> Result<()> {
        let reader = SerializedFileReader::new(file)?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let column = |name: &str| {
            (0..schema.num_columns()).find(|&place| schema.column(place).name() == name)
        };
        for group in 0..reader.num_row_groups() {
            let group = reader.get_row_group(group)?;
            let rows = usize::try_from(group.metadata().num_rows()).unwrap_or_default();
            let reader_of = |name: &str| -> Result<Option<(ColumnDescPtr, ColumnReader)>> {
                let Some(place) = column(name) else { return Ok(None) };
                Ok(Some((schema.column(place), group.get_column_reader(place)?)))
            };
            let numbers = |name: &str| optional::<DoubleType>(reader_of(name)?, rows);
            let words = |name: &str| optional::<ByteArrayType>(reader_of(name)?, rows);
            let times = optional::<Int64Type>(reader_of("t_ns")?, rows)?;
            let (devices, names) = (words("device")?, words("domain")?);
            let values = SHOWN.map(|(name, ..)| numbers(name));
            let (energy, reasons) = (numbers("energy_j")?, words("throttle_reasons")?);
            let values: Vec<Vec<Option<f64>>> = values.into_iter().collect::<Result<_>>()?;
            // Rows of one domain mostly have the same neighbours, so the key is looked up by bytes.
            for row in 0..rows {
                let (Some(t), Some(device), Some(domain)) =
                    (times[row], devices[row].as_ref(), names[row].as_ref())
                else {
                    continue;
                };
                let key = (text(device.data()), text(domain.data()));
                let domain = self.domains.entry(key).or_default();
                let t = t as f64 * 1e-9;
                for (column, values) in domain.columns.iter_mut().zip(&values) {
                    if let Some(value) = values[row] {
                        column.0.push(t);
                        column.1.push(value as f32);
                    }
                }
                if let Some(joules) = energy[row] {
                    domain.energy.0.push(t);
                    domain.energy.1.push(joules);
                }
                if let Some(reason) = &reasons[row] {
                    domain.add_throttled(t, text(reason.data()));
                }
            }
            self.rows += rows;
        }
        Ok(())
    }
}

impl DomainSamples {
    fn add_throttled(&mut self, t: f64, reason: String) {
        if reason.is_empty() {
            return;
        }
        match self.throttled.last_mut() {
            // A gap of more than half a second is a time in which the device was not held back.
            Some((_, end, last)) if *last == reason && t - *end < 0.5 => *end = t,
            _ => self.throttled.push((t, t, reason)),
        }
    }

    /// Returns the power between readings of the energy counter, W: times in the middle between two ticks, s, and values. Only
    /// readings at which the counter has moved are ticks.
    pub(crate) fn power_from_energy(&self) -> (Vec<f64>, Vec<f32>) {
        let (mut times, mut values) = (Vec::new(), Vec::new());
        let mut last: Option<(f64, f64)> = None;
        for (&t, &joules) in self.energy.0.iter().zip(&self.energy.1) {
            match last {
                Some((_, before)) if joules == before => continue,
                Some((since, before)) if t > since && joules > before => {
                    times.push((t + since) / 2.0);
                    values.push(((joules - before) / (t - since)) as f32);
                }
                _ => {}
            }
            last = Some((t, joules));
        }
        (times, values)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Reads a column whose values may be absent. A column that the file lacks has no values.
fn optional<T: DataType>(
    reader: Option<(ColumnDescPtr, ColumnReader)>,
    rows: usize,
) -> Result<Vec<Option<T::T>>> {
    let Some((column, reader)) = reader else { return Ok(vec![None; rows]) };
    if column.physical_type() != T::get_physical_type() || column.max_rep_level() > 0 {
        return Err(ParquetError::General(format!(
            "the column {} has another type",
            column.name()
        )));
    }
    let mut reader = get_typed_column_reader::<T>(reader);
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let is_optional = column.max_def_level() > 0;
    while reader.read_records(rows, is_optional.then_some(&mut levels), None, &mut values)?.0 > 0 {}
    if !is_optional {
        values.truncate(rows);
        let mut all: Vec<Option<T::T>> = values.into_iter().map(Some).collect();
        all.resize(rows, None);
        return Ok(all);
    }
    let mut values = values.into_iter();
    let mut all: Vec<Option<T::T>> =
        levels.iter().map(|&level| if level > 0 { values.next() } else { None }).collect();
    all.resize(rows, None);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use llem_record::{TimelineRow, TimelineWriter};

    #[test]
    fn samples_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut writer = TimelineWriter::new(folder.path());
        let row = |t: i64| TimelineRow {
            t_ns: t * 10_000_000,
            device: "cuda:0".to_owned(),
            domain: "gpu".to_owned(),
            power_w: (t % 2 == 0).then_some(t as f64),
            energy_j: Some((t / 10) as f64),
            throttle_reasons: (t > 20 && t < 30).then(|| "sw-power-cap".to_owned()),
            ..TimelineRow::default()
        };
        writer.add((0..100).map(row)).expect("written");
        writer.finish().expect("written");
        let mut notes = Vec::new();
        let timeline = Timeline::read(folder.path(), &mut notes);
        assert!(notes.is_empty(), "{notes:?}");
        let domain = &timeline.domains[&("cuda:0".to_owned(), "gpu".to_owned())];
        let (times, values) = &domain.columns[0];
        assert_eq!((timeline.rows, values.len(), times[1], values[1]), (100, 50, 0.02, 2.0));
        let [(from, to, reason)] = &domain.throttled[..] else { panic!("{:?}", domain.throttled) };
        assert!((from - 0.21).abs() < 1e-9 && (to - 0.29).abs() < 1e-9 && reason == "sw-power-cap");
        // A joule each 0.1 s is 10 W.
        let (_, watts) = domain.power_from_energy();
        assert!(watts.iter().all(|watts| (watts - 10.0).abs() < 1e-4), "{watts:?}");
    }
}
