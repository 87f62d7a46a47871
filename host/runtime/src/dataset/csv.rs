//! CSV, whose first record names the columns and whose cells are text.

use super::{
    Fields, Reader,
    bounded::{Bounded, Budget},
};
use crate::value::Value;

/// A CSV file.
pub struct Csv {
    header: csv::StringRecord,
    records: csv::StringRecordsIntoIter<Bounded>,
    budget: Budget,
}

impl Csv {
    /// Reads the header.
    pub fn new(bytes: Bounded) -> Result<Self, String> {
        let budget = bytes.budget();
        let mut reader = csv::Reader::from_reader(bytes);
        let header = reader.headers().map_err(|error| error.to_string())?.clone();
        Ok(Self { header, records: reader.into_records(), budget })
    }
}

impl Reader for Csv {
    fn next_row(&mut self) -> Result<Option<Fields>, String> {
        self.budget.renew();
        let line = self.records.reader().position().line();
        let record = self.records.next().transpose();
        let record = record.map_err(|error| format!("line {line}: {error}"))?;
        Ok(record.map(|record| {
            let cells = self.header.iter().zip(record.iter());
            cells.map(|(name, text)| (name.to_owned(), Value::Text(text.to_owned()))).collect()
        }))
    }
}
