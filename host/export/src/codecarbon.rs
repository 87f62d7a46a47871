//! A row a run in a file with the columns of CodeCarbon's `emissions.csv`: the fields of `EmissionsData` in
//! `codecarbon/output_methods/emissions_data.py` of CodeCarbon 3.3.2, in their order.
//!
//! CodeCarbon gives its file away if a column is added, so uncertainties, sources and reasons are in a second file: beside
//! `emissions.csv` it is `emissions.llem.csv`. Rows are appended to both, as CodeCarbon does.

use crate::{error::Error, measured::Measured, run::ExportedRun, tool::ExportOptions};
use llem_quantity::{Cause, Quantity, Reading, Source, Unavailable};
use llem_report::visible_part;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The tool whose columns these are.
const VERSION: &str = "CodeCarbon 3.3.2";

/// The columns of the file.
const COLUMNS: [&str; 38] = [
    "timestamp",
    "project_name",
    "run_id",
    "experiment_id",
    "duration",
    "emissions",
    "emissions_rate",
    "cpu_power",
    "gpu_power",
    "ram_power",
    "cpu_energy",
    "gpu_energy",
    "ram_energy",
    "energy_consumed",
    "water_consumed",
    "country_name",
    "country_iso_code",
    "region",
    "cloud_provider",
    "cloud_region",
    "os",
    "python_version",
    "codecarbon_version",
    "cpu_count",
    "cpu_model",
    "gpu_count",
    "gpu_model",
    "longitude",
    "latitude",
    "ram_total_size",
    "tracking_mode",
    "cpu_utilization_percent",
    "gpu_utilization_percent",
    "ram_utilization_percent",
    "ram_used_gb",
    "on_cloud",
    "pue",
    "wue",
];

/// The columns of the second file.
const DETAIL_COLUMNS: [&str; 9] = [
    "run_id",
    "llem_run",
    "column",
    "value",
    "uncertainty",
    "unit",
    "source",
    "covers",
    "unavailable",
];

const JOULES_PER_KWH: f64 = 3.6e6;

/// Bytes of what CodeCarbon calls GB.
const GIB: f64 = (1u64 << 30) as f64;

/// Appends a row for each run, and returns the two files. If `path` is a folder, the file is `emissions.csv` in it.
pub(crate) fn export(
    runs: &[ExportedRun],
    path: &Path,
    options: &ExportOptions,
) -> Result<Vec<PathBuf>, Error> {
    let path = if path.is_dir() { path.join("emissions.csv") } else { path.to_path_buf() };
    let details = path.with_extension("llem.csv");
    let rows: Vec<Row> = runs.iter().map(|run| Row::new(run, options)).collect();
    let before = read(&path, &COLUMNS)?;
    for (run, row) in runs.iter().zip(&rows) {
        if before.iter().any(|before| before.get(2) == Some(&row.run_id)) {
            return Err(Error::HasRun { path, run: run.title() });
        }
    }
    let details_before = read(&details, &DETAIL_COLUMNS)?;
    let added = rows.iter().map(|row| COLUMNS.map(|column| row.value(column)).to_vec());
    let added_details = rows.iter().flat_map(Row::details);
    write(&path, &COLUMNS, before.into_iter().chain(added))?;
    write(&details, &DETAIL_COLUMNS, details_before.into_iter().chain(added_details))?;
    Ok(vec![path, details])
}

/// Reads the rows of a file, which need not exist.
fn read(path: &Path, columns: &[&str]) -> Result<Vec<Vec<String>>, Error> {
    let content = match fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::at(path)(error)),
    };
    let other = || Error::OtherColumns { path: path.to_path_buf(), expected: VERSION };
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(&content[..]);
    let rows = reader.records().map(|row| Some(row.ok()?.iter().map(str::to_owned).collect()));
    let mut rows: Vec<Vec<String>> = rows.collect::<Option<_>>().ok_or_else(other)?;
    match rows.first() {
        None => Ok(rows),
        Some(first) if first == columns => Ok(rows.split_off(1)),
        Some(_) => Err(other()),
    }
}

fn write(
    path: &Path,
    columns: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<(), Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Memory takes everything, so no write fails.
    let _ = writer.write_record(columns);
    rows.for_each(|row| drop(writer.write_record(row)));
    let content = writer.into_inner().unwrap_or_default();
    llem_files::write(path, &content).map_err(Error::at(path))
}

/// The values of one run.
struct Row {
    run_id: String,
    /// The run's name in llem.
    run: String,
    /// The columns that are texts, or numbers of the machine.
    texts: Vec<(&'static str, String)>,
    /// The columns that are measured.
    numbers: Vec<(&'static str, Reading)>,
    covers: String,
}

impl Row {
    fn new(run: &ExportedRun, options: &ExportOptions) -> Self {
        let record = run.record();
        let host = &record.plan.host;
        let is_simulated = run.is_simulated();
        let gpus: Vec<&str> = record
            .devices
            .iter()
            .filter(|device| device.id != "cpu")
            .map(|device| &device.name[..])
            .collect();
        let ended_ns = run.measured.as_ref().map_or(record.wall_ns, |measured| measured.ended_ns);
        let ended =
            run.moment_ms(ended_ns).and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let memory = host.memory_bytes.map(|bytes| (bytes as f64 / GIB).to_string());
        let texts = vec![
            ("timestamp", ended.map(|at| at.strftime("%Y-%m-%dT%H:%M:%S").to_string())),
            (
                "project_name",
                Some(if is_simulated { "llem (simulated)" } else { "llem" }.to_owned()),
            ),
            ("run_id", Some(run.key(32))),
            ("experiment_id", Some(run.experiment())),
            ("os", Some(host.system.clone())),
            ("codecarbon_version", Some(format!("llem {}", record.plan.llem_version))),
            ("cpu_count", host.hardware_threads.map(|count| count.to_string())),
            ("cpu_model", Some(host.cpu.clone())),
            ("gpu_count", (!gpus.is_empty()).then(|| gpus.len().to_string())),
            ("gpu_model", Some(gpus.join(", "))),
            ("ram_total_size", memory),
            ("tracking_mode", Some(if is_simulated { "simulated" } else { "machine" }.to_owned())),
        ];
        let texts = texts.into_iter().filter_map(|(column, text)| Some((column, guarded(&text?))));
        let numbers = match &run.measured {
            Ok(measured) => numbers(measured, options),
            Err(reason) => {
                vec![("duration", Err(reason.clone())), ("energy_consumed", Err(reason.clone()))]
            }
        };
        let covers = run.measured.as_ref().map(|measured| {
            let names = measured.covers.iter().map(|of| format!("{} {}", of.device, of.domain));
            names.collect::<Vec<_>>().join(", ")
        });
        Self {
            run_id: run.key(32),
            run: guarded(&run.title()),
            texts: texts.collect(),
            numbers,
            covers: guarded(&covers.unwrap_or_default()),
        }
    }

    /// Returns the value of a column. What llem does not know is empty.
    fn value(&self, column: &str) -> String {
        let text = self.texts.iter().find(|(name, _)| *name == column);
        let number = || self.numbers.iter().find(|(name, _)| *name == column);
        match (text, number()) {
            (Some((_, text)), _) => text.clone(),
            (None, Some((_, Ok(number)))) => number.value.to_string(),
            _ => String::new(),
        }
    }

    /// Returns the rows of the second file: one for each measured column.
    fn details(&self) -> Vec<Vec<String>> {
        let rows = self.numbers.iter().map(|(column, reading)| {
            let mut row = vec![self.run_id.clone(), self.run.clone(), (*column).to_owned()];
            row.extend(match reading {
                Ok(number) => [
                    number.value.to_string(),
                    number.uncertainty.to_string(),
                    number.unit.clone(),
                    number.source.name().to_owned(),
                    self.covers.clone(),
                    String::new(),
                ],
                Err(reason) => {
                    let empty = String::new;
                    [empty(), empty(), empty(), empty(), empty(), guarded(&reason.detail)]
                }
            });
            row
        });
        rows.collect()
    }
}

/// Returns the measured columns, in CodeCarbon's units: s, kWh, W, kg.
fn numbers(measured: &Measured, options: &ExportOptions) -> Vec<(&'static str, Reading)> {
    let duration = Quantity::exact(measured.seconds(), "s", Source::Clock);
    let kwh = |energy: &Reading| {
        energy.clone().map(|energy| Quantity {
            value: energy.value / JOULES_PER_KWH,
            uncertainty: energy.uncertainty / JOULES_PER_KWH,
            unit: "kW.h".to_owned(),
            source: energy.source,
        })
    };
    let watts = |energy: &Reading| {
        energy.clone().and_then(|energy| {
            let nothing = Unavailable::new(Cause::TooShort, "no time passed in the windows");
            energy.per(&duration, "W").ok_or(nothing)
        })
    };
    let mut numbers = vec![
        ("duration", Ok(duration.clone())),
        ("cpu_power", watts(&measured.cpu)),
        ("gpu_power", watts(&measured.accelerators)),
        ("ram_power", watts(&measured.memory)),
        ("cpu_energy", kwh(&measured.cpu)),
        ("gpu_energy", kwh(&measured.accelerators)),
        ("ram_energy", kwh(&measured.memory)),
        ("energy_consumed", kwh(&measured.energy)),
    ];
    if let Some(grams) = options.grid_gco2_per_kwh {
        let emissions = kwh(&measured.energy).map(|energy| {
            let intensity = Quantity::exact(grams * 1e-3, "kg/kW.h", Source::Derived);
            energy.times(&intensity, "kg")
        });
        let rate = emissions.clone().map(|emissions| emissions.per(&duration, "kg/s"));
        numbers.push(("emissions", emissions));
        if let Ok(Some(rate)) = rate {
            numbers.push(("emissions_rate", Ok(rate)));
        }
    }
    numbers
}

/// Makes a text safe for a spreadsheet, which takes some first characters for the beginning of a formula: an apostrophe before
/// them makes a text of it.
fn guarded(text: &str) -> String {
    let text = visible_part(text, 1000);
    match text.trim_start().starts_with(['=', '+', '-', '@', '|', '%']) {
        true => format!("'{text}"),
        false => text,
    }
}
