//! Reads a file that is one JSON object: columns, as pandas' `to_json` writes them, or rows under a name (`{"data":
//! [...]}`). Also reads a file of objects that span several lines each.

use super::{
    RowReader,
    bounded_reader::BoundedReader,
    cell::Cells,
    file_error::FileError,
    json::{self, JsonError, Object},
    row_error::{RowError, RowPlace},
    text_source::utf8,
};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;
use std::{hash::Hash, io::Read, vec};

/// The rows of such a file, which is read into memory as a whole.
pub(super) struct JsonDocument {
    rows: vec::IntoIter<Object>,
    length: u64,
    /// The number of rows that were read.
    count: u64,
}

impl JsonDocument {
    pub(super) fn read(mut bytes: BoundedReader) -> Result<Self, FileError> {
        let mut text = Vec::new();
        bytes.read_to_end(&mut text).map_err(FileError::Document)?;
        let text = utf8(text)?;
        let objects = serde_json::Deserializer::from_str(&text).into_iter::<Object>();
        let objects = objects.collect::<Result<Vec<_>, _>>().map_err(|error| {
            let (line, rest) = (error.line(), json::rest(&text, &error));
            RowError::new(RowPlace::Line(line as u64), JsonError::new(error, rest))
        })?;
        let within = if objects.len() == 1 { serde_json::from_str(&text).ok() } else { None };
        let rows: Vec<_> = match within.and_then(|Object(parts)| rows_of(parts)) {
            Some(rows) => rows,
            None => objects.into_iter().filter(Object::is_data).collect(),
        };
        Ok(Self { length: rows.len() as u64, rows: rows.into_iter(), count: 0 })
    }
}

/// A field of the object that the file consists of.
#[derive(Deserialize)]
#[serde(untagged)]
enum DocumentField {
    Rows(Vec<Object>),
    List(Vec<Value>),
    Row(Object),
    #[expect(dead_code, reason = "it takes what is none of those")]
    Other(Value),
}

impl DocumentField {
    fn list(&self) -> Option<&[Value]> {
        match self {
            Self::List(cells) => Some(cells),
            Self::Rows(rows) if rows.is_empty() => Some(&[]),
            _ => None,
        }
    }
}

/// Returns the rows inside the only object of a file, or `None` if the object is itself a row.
fn rows_of(mut parts: IndexMap<String, DocumentField>) -> Option<Vec<Object>> {
    let list = |name| parts.get(name).and_then(DocumentField::list);
    if let (Some(columns), Some(rows)) = (list("columns"), list("data"))
        && let Some(rows) = split(columns, rows)
    {
        return Some(rows);
    }
    if parts.values().all(|part| part.list().is_some()) {
        let numbered =
            |part: &DocumentField| part.list().unwrap_or_default().to_vec().into_iter().enumerate();
        return Some(transposed(parts.iter().map(|(name, part)| (name, numbered(part)))));
    }
    let has_rows =
        |part: &DocumentField| matches!(part, DocumentField::Rows(rows) if !rows.is_empty());
    if parts.values().filter(|part| has_rows(part)).count() == 1 {
        let rows = parts.drain(..).find_map(|(_, part)| match part {
            DocumentField::Rows(rows) if !rows.is_empty() => Some(rows),
            _ => None,
        });
        return rows;
    }
    let columns = parts.iter().map(|(name, part)| match part {
        DocumentField::Row(Object(cells)) => Some((name, cells.clone())),
        _ => None,
    });
    Some(transposed(columns.collect::<Option<Vec<_>>>()?.into_iter()))
}

/// Converts rows as pandas writes them with `orient='split'`: lists of cells beside a list of column names.
fn split(columns: &[Value], rows: &[Value]) -> Option<Vec<Object>> {
    let names: Vec<&str> = columns.iter().map(Value::as_str).collect::<Option<_>>()?;
    let row = |row: &Value| {
        let cells = row.as_array().filter(|cells| cells.len() == names.len())?;
        Some(Object(names.iter().map(|name| (*name).to_owned()).zip(cells.clone()).collect()))
    };
    rows.iter().map(row).collect()
}

/// Converts columns into rows. The cells of a column are keyed by row names or row numbers.
fn transposed<'a, K: Hash + Eq>(
    columns: impl Iterator<Item = (&'a String, impl IntoIterator<Item = (K, Value)>)>,
) -> Vec<Object> {
    let mut rows: IndexMap<K, Object> = IndexMap::new();
    for (name, cells) in columns {
        for (row, cell) in cells {
            let Object(fields) = rows.entry(row).or_insert_with(|| Object(IndexMap::new()));
            fields.insert(name.clone(), cell);
        }
    }
    rows.into_values().collect()
}

impl RowReader for JsonDocument {
    fn next_row(&mut self) -> Result<Option<Cells>, RowError> {
        let row = self.rows.next();
        self.count += u64::from(row.is_some());
        Ok(row.map(Object::cells))
    }

    fn length(&self) -> Option<u64> {
        Some(self.length)
    }

    fn place(&self) -> RowPlace {
        RowPlace::Row(self.count)
    }
}
