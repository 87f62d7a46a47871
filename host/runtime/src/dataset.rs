//! Files of rows: JSONL, CSV, text.
//!
//! Cells arrive as the file has them: a CSV cell is text, and what a JSON value means is kept.

use crate::value::Value;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use std::{
    fmt,
    fs::File,
    io::{BufRead, BufReader, Lines},
    path::Path,
};

/// What some editors put before the first line of a text in UTF-8 (the byte order mark, U+FEFF).
const MARK: char = '\u{feff}';

/// The key of a row that says where the data is from, and is no data itself.
const PROVENANCE: &str = "_provenance";

/// A row's cells by name, in the file's order.
type Fields = Vec<(String, Value)>;

/// An open dataset.
pub struct Rows {
    name: String,
    reader: Reader,
    /// Rows that were read.
    index: u64,
    /// Lines that were read, of files whose rows are lines.
    line: u64,
}

enum Reader {
    JsonLines(Lines<BufReader<File>>),
    Text(Lines<BufReader<File>>),
    Csv { header: csv::StringRecord, records: csv::StringRecordsIntoIter<File> },
}

impl Rows {
    /// Opens a file, whose ending tells what it is. Fails with a sentence that names it.
    pub fn open(name: &str, path: &Path) -> Result<Self, String> {
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

    /// The next row, with its place among the rows; none at the end. Fails with a sentence that names the line.
    pub fn next_row(&mut self) -> Result<Option<(u64, Fields)>, String> {
        let fields = match &mut self.reader {
            Reader::Csv { header, records } => {
                let record = records.next().transpose();
                // The error names the line itself: a record may be several.
                let record = record.map_err(|error| format!("dataset '{}': {error}", self.name))?;
                record.map(|record| {
                    let cells = header.iter().zip(record.iter());
                    cells
                        .map(|(name, text)| (name.to_owned(), Value::Text(text.to_owned())))
                        .collect()
                })
            }
            Reader::Text(_) => {
                self.next_line()?.map(|line| vec![("text".to_owned(), Value::Text(line))])
            }
            Reader::JsonLines(_) => self.next_object()?,
        };
        Ok(fields.map(|fields| {
            self.index += 1;
            (self.index - 1, fields)
        }))
    }

    /// The next line that is neither empty nor says where the data is from.
    fn next_object(&mut self) -> Result<Option<Fields>, String> {
        while let Some(line) = self.next_line()? {
            if line.trim().is_empty() {
                continue;
            }
            let Object(fields) =
                serde_json::from_str(&line).map_err(|error| self.at(&error.to_string()))?;
            if fields.iter().all(|(name, _)| name != PROVENANCE) {
                return Ok(Some(fields));
            }
        }
        Ok(None)
    }

    fn next_line(&mut self) -> Result<Option<String>, String> {
        let (Reader::JsonLines(lines) | Reader::Text(lines)) = &mut self.reader else {
            return Ok(None);
        };
        self.line += 1;
        let line = lines.next().transpose();
        let line = line.map_err(|error| self.at(&error.to_string()))?;
        let is_first = self.line == 1;
        Ok(line.map(|line| match line.strip_prefix(MARK) {
            Some(rest) if is_first => rest.to_owned(),
            _ => line,
        }))
    }

    fn at(&self, reason: &str) -> String {
        format!("dataset '{}', line {}: {reason}", self.name, self.line)
    }
}

/// A JSON object's fields, in its order.
struct Object(Fields);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Fields::new();
                while let Some((name, value)) = map.next_entry()? {
                    fields.push((name, json_value(value)));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// A JSON value as scripts see it. A whole number that fits only `u64` would lose digits as a number, and is text.
fn json_value(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Bool(boolean) => Value::Boolean(boolean),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::Integer(integer),
            (None, Some(float)) if !number.is_u64() => Value::Number(float),
            _ => Value::Text(number.to_string()),
        },
        other => Value::Text(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn rows(file: &str, content: &str) -> Vec<Fields> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(file);
        fs::write(&path, content).expect("written");
        let mut rows = Rows::open("d", &path).expect("opened");
        let mut all = Vec::new();
        while let Some((index, fields)) = rows.next_row().expect("read") {
            assert_eq!(index, all.len() as u64);
            all.push(fields);
        }
        all
    }

    fn texts(fields: &Fields) -> Vec<String> {
        let text = |(name, value): &(String, Value)| format!("{name}={value:?}");
        fields.iter().map(text).collect()
    }

    #[test]
    fn cells_of_a_csv_file_are_text() {
        let cells = ["007", "42", "9223372036854775808", "1e5", "true", "", " 3 "];
        let content =
            format!("\u{feff}prompt\n{}\n", cells.map(|cell| format!("\"{cell}\"")).join("\n"));
        let read: Vec<_> = rows("d.csv", &content).iter().flat_map(texts).collect();
        assert_eq!(read, cells.map(|cell| format!("prompt=Text({cell:?})")));
    }

    #[test]
    fn json_keeps_what_it_means_and_its_order() {
        let line =
            r#"{"z":"007","a":42,"m":9223372036854775808,"e":1e5,"t":true,"n":null,"l":[1, 2]}"#;
        let read: Vec<_> = rows("d.jsonl", line).iter().flat_map(texts).collect();
        let expected = [
            r#"z=Text("007")"#,
            "a=Integer(42)",
            r#"m=Text("9223372036854775808")"#,
            "e=Number(100000.0)",
            "t=Boolean(true)",
            r#"n=Text("null")"#,
            r#"l=Text("[1,2]")"#,
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_no_row_is_passed_over() {
        let content =
            "\u{feff}{\"_provenance\": \"https://example.org\"}\n\n{\"a\": 1}\n{\"a\": 2}";
        assert_eq!(rows("d.jsonl", content).len(), 2);
        let lines = rows("d.txt", "\u{feff}one\n\nthree");
        assert_eq!(lines.len(), 3);
        assert_eq!(texts(&lines[0]), [r#"text=Text("one")"#]);
    }
}
