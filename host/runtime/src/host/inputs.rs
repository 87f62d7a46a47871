//! `inputs.wit`: parameters, datasets, random numbers.

use super::types::Answer;
use crate::{
    bindings::{
        inputs,
        types::{Error, Value},
    },
    state::State,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{BufRead, BufReader, Lines},
    path::Path,
};
use wasmtime::component::Resource;

/// An open dataset.
pub struct Rows {
    name: String,
    reader: Reader,
    index: u64,
    line: u64,
}

enum Reader {
    JsonLines(Lines<BufReader<File>>),
    Text(Lines<BufReader<File>>),
    Csv { header: csv::StringRecord, records: csv::StringRecordsIntoIter<File> },
}

type Fields = Vec<(String, Value)>;

impl inputs::Host for State {
    fn parameter(&mut self, name: String) -> Answer<Value> {
        only_in_run!(self, "inputs.parameter");
        Ok(self.inputs.parameters.get(&name).cloned().ok_or_else(|| {
            let known: Vec<_> = self.inputs.parameters.keys().map(String::as_str).collect();
            Error::NotFound(format!(
                "parameter '{name}' was not declared by describe; declared: {}",
                known.join(", ")
            ))
        }))
    }

    fn seed(&mut self) -> wasmtime::Result<u64> {
        Ok(self.run.seed)
    }
}

impl inputs::HostDataset for State {
    fn open(&mut self, name: String) -> Answer<Resource<Rows>> {
        only_in_run!(self, "inputs.dataset.open");
        let Some(path) = self.inputs.datasets.get(&name) else {
            let error = Error::NotGranted(format!(
                "dataset '{name}' is not granted: add --dataset {name}=FILE"
            ));
            return Ok(Err(self.blame(error)));
        };
        match Rows::open(&name, path) {
            Ok(rows) => Ok(Ok(self.hand_out(rows)?)),
            Err(reason) => Ok(Err(self.blame(Error::InvalidArgument(reason)))),
        }
    }

    fn next(&mut self, dataset: Resource<Rows>) -> Answer<Option<inputs::Row>> {
        let rows = self.table.get_mut(&dataset)?;
        match rows.next() {
            Ok(None) => Ok(Ok(None)),
            Ok(Some(fields)) => {
                let index = rows.index;
                rows.index += 1;
                self.run.went_on();
                Ok(Ok(Some(inputs::Row { index, fields })))
            }
            Err(reason) => Ok(Err(self.blame(Error::InvalidArgument(reason)))),
        }
    }

    fn drop(&mut self, dataset: Resource<Rows>) -> wasmtime::Result<()> {
        self.table.delete(dataset)?;
        Ok(())
    }
}

impl Rows {
    fn open(name: &str, path: &Path) -> Result<Self, String> {
        let refuse = |reason: String| format!("dataset '{name}', {}: {reason}", path.display());
        let file = File::open(path).map_err(|error| refuse(error.to_string()))?;
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        let reader = match ending.as_deref() {
            Some("jsonl" | "ndjson") => Reader::JsonLines(BufReader::new(file).lines()),
            Some("csv") => {
                let mut csv = csv::Reader::from_reader(file);
                let header = csv.headers().map_err(|error| refuse(error.to_string()))?.clone();
                Reader::Csv { header, records: csv.into_records() }
            }
            Some("txt") => Reader::Text(BufReader::new(file).lines()),
            other => {
                return Err(refuse(format!(
                    "the ending '{}' is not one of .jsonl, .csv, .txt",
                    other.unwrap_or_default()
                )));
            }
        };
        Ok(Self { name: name.to_owned(), reader, index: 0, line: 0 })
    }

    /// The next row's fields. Rows that say where the data is from (an object whose first key is
    /// `_provenance`) and empty lines are passed over.
    fn next(&mut self) -> Result<Option<Fields>, String> {
        loop {
            self.line += 1;
            let at =
                |reason: String| format!("dataset '{}', line {}: {reason}", self.name, self.line);
            match &mut self.reader {
                Reader::Text(lines) => {
                    return match lines.next() {
                        None => Ok(None),
                        Some(Ok(line)) => Ok(Some(vec![("text".to_owned(), Value::Text(line))])),
                        Some(Err(error)) => Err(at(error.to_string())),
                    };
                }
                Reader::Csv { header, records } => {
                    return match records.next() {
                        None => Ok(None),
                        Some(Ok(record)) => {
                            let pairs = header.iter().zip(record.iter());
                            Ok(Some(
                                pairs
                                    .map(|(name, text)| (name.to_owned(), csv_value(text)))
                                    .collect(),
                            ))
                        }
                        Some(Err(error)) => Err(at(error.to_string())),
                    };
                }
                Reader::JsonLines(lines) => {
                    let line = match lines.next() {
                        None => return Ok(None),
                        Some(Ok(line)) if line.trim().is_empty() => continue,
                        Some(Ok(line)) => line,
                        Some(Err(error)) => return Err(at(error.to_string())),
                    };
                    let row: serde_json::Map<String, serde_json::Value> =
                        serde_json::from_str(&line).map_err(|error| at(error.to_string()))?;
                    if row.contains_key("_provenance") {
                        continue;
                    }
                    return Ok(Some(
                        row.into_iter().map(|(name, value)| (name, json_value(value))).collect(),
                    ));
                }
            }
        }
    }
}

fn json_value(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Bool(boolean) => Value::Boolean(boolean),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => number.as_f64().map_or_else(|| Value::Text(number.to_string()), Value::Number),
        },
        other => Value::Text(other.to_string()),
    }
}

/// A CSV cell is a number only if all of it reads as one.
fn csv_value(text: &str) -> Value {
    if let Ok(integer) = text.parse() {
        return Value::Integer(integer);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Value::Number(number),
        _ => Value::Text(text.to_owned()),
    }
}

/// A stream of the run's seed.
pub struct Stream(ChaCha8Rng);

impl inputs::HostRandom for State {
    fn new(&mut self, stream: String) -> wasmtime::Result<Resource<Stream>> {
        let name = Sha256::digest(stream.as_bytes());
        let number = name.iter().take(8).fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        let mut random = ChaCha8Rng::seed_from_u64(self.run.seed);
        random.set_stream(number);
        self.hand_out(Stream(random))
    }

    fn next_u64(&mut self, stream: Resource<Stream>) -> wasmtime::Result<u64> {
        Ok(self.table.get_mut(&stream)?.0.next_u64())
    }

    fn next_f64(&mut self, stream: Resource<Stream>) -> wasmtime::Result<f64> {
        let bits = self.table.get_mut(&stream)?.0.next_u64() >> 11;
        Ok(bits as f64 / (1u64 << 53) as f64)
    }

    fn drop(&mut self, stream: Resource<Stream>) -> wasmtime::Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
