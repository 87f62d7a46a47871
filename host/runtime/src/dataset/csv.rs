//! Reads CSV files. The first record names the columns, and every cell is text.

use super::{
    RowReader,
    bounded_reader::{BoundedReader, Budget},
    cell::{Cell, Cells},
    text_source::{TextSource, utf8},
};
use csv::ByteRecord;
use std::{
    collections::HashSet,
    io::{BufReader, Chain, Read},
};

/// Bytes that are read after the end of the file. They form a record of their own unless a quote in the file is still
/// open.
const END: &[u8] = b"\n\0";

pub(super) struct Csv {
    source: TextSource,
    header: Vec<String>,
    reader: csv::Reader<Chain<BoundedReader, &'static [u8]>>,
    budget: Budget,
    /// The start of the record that was read last, in bytes of text.
    start: u64,
}

impl Csv {
    /// Reads the header of a file. Columns are separated by commas, or by semicolons or tabs if the header has no
    /// commas.
    pub(super) fn new(source: &TextSource) -> Result<Self, String> {
        let commas = Self::separated(source, b',')?;
        if commas.header.len() > 1 {
            return Ok(commas);
        }
        let others = [b';', b'\t'].map(|by| Self::separated(source, by).ok());
        Ok(others.into_iter().flatten().find(|csv| csv.header.len() > 1).unwrap_or(commas))
    }

    /// Reads the header of a file whose columns are separated by the character `by`.
    pub(super) fn separated(source: &TextSource, by: u8) -> Result<Self, String> {
        let bytes = source.text()?;
        let budget = bytes.budget();
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(by)
            .flexible(true)
            .has_headers(false)
            .from_reader(bytes.chain(END));
        let mut record = ByteRecord::new();
        reader.read_byte_record(&mut record).map_err(|error| format!("line 1: {error}"))?;
        let mut csv = Self { source: source.clone(), header: Vec::new(), reader, budget, start: 0 };
        if is_end(&record) {
            return Err("it is empty: its first line is to name the columns".to_owned());
        }
        csv.header = csv.texts(&record)?;
        let mut names = HashSet::new();
        // Several columns without a name are allowed: they are an index, or result from commas at the ends of lines.
        let mut named = csv.header.iter().filter(|name| !name.is_empty());
        match named.find(|name| !names.insert(*name)) {
            Some(name) => Err(format!("two columns are named '{name}': rename one")),
            None => Ok(csv),
        }
    }

    fn texts(&self, record: &ByteRecord) -> Result<Vec<String>, String> {
        if record.iter().next_back().is_some_and(|cell| cell.ends_with(END)) {
            return Err(
                self.at("a quote opens here, and none closes it: write quotes in cells twice")
            );
        }
        let text = |(index, cell): (usize, &[u8])| {
            let column =
                self.header.get(index).map_or_else(String::new, |name| format!("'{name}', "));
            utf8(cell.to_vec()).map_err(|reason| self.at(&format!("{column}{reason}")))
        };
        record.iter().enumerate().map(text).collect()
    }

    fn at(&self, reason: &str) -> String {
        format!("{}: {reason}", self.place())
    }
}

fn is_end(record: &ByteRecord) -> bool {
    record.len() == 1 && &record[0] == b"\0"
}

/// The line, from 1, of the record that begins `start` bytes into the text, after empty lines. Reads the file again
/// from its start.
fn line(source: &TextSource, start: u64) -> Option<u64> {
    let bytes = BufReader::new(source.unbounded().ok()?).bytes();
    let (mut line, mut is_halfway) = (1, false);
    for (at, byte) in (0..).zip(bytes) {
        let byte = byte.ok()?;
        match byte {
            b'\n' if is_halfway => {}
            b'\n' | b'\r' => line += 1,
            _ if at >= start => break,
            _ => {}
        }
        is_halfway = byte == b'\r';
    }
    Some(line)
}

impl RowReader for Csv {
    fn next_row(&mut self) -> Result<Option<Cells>, String> {
        self.budget.renew();
        self.start = self.reader.position().byte();
        let mut record = ByteRecord::new();
        let read = self.reader.read_byte_record(&mut record);
        let is_record = read.map_err(|error| self.at(&error.to_string()))?;
        if !is_record || is_end(&record) {
            return Ok(None);
        }
        let cells = self.texts(&record)?;
        if cells.len() != self.header.len() {
            return Err(self.at(&format!(
                "it has {} cells, and the header {}: put cells that hold separators or line ends in quotes",
                cells.len(),
                self.header.len()
            )));
        }
        Ok(Some(self.header.iter().cloned().zip(cells.into_iter().map(Cell::text)).collect()))
    }

    fn place(&self) -> String {
        match line(&self.source, self.start) {
            Some(line) => format!("line {line}"),
            None => format!("byte {}", self.start),
        }
    }
}
