//! The content of a report, the same for every format: sections of text, tables of numbers and charts.
//!
//! ```text
//! Report ─► Section ─► Block ─┬─ Text, Warnings, Code
//!                             ├─ Table   columns and cells; a number keeps its source and uncertainty
//!                             └─ Chart   axes and points, and a caption in words
//! ```

use crate::{
    charts::Chart,
    number::Number,
    peaks::DevicePeaks,
    prefix::{ShownUnit, shown_unit},
    run::LoadedRun,
    sections,
};
use serde::Serialize;
use std::path::Path;

/// A report of one run, or of several side by side.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The heading of the report.
    pub(crate) title: String,
    /// The version of llem that wrote the report.
    pub(crate) version: &'static str,
    /// Names by which the report calls its runs, in the order given.
    pub(crate) runs: Vec<String>,
    /// Runs whose record the page links to: the name, and the URL of run.json from the page.
    #[serde(skip)]
    pub(crate) record_links: Vec<(String, String)>,
    pub(crate) sections: Vec<Section>,
}

impl Report {
    /// Makes the report of runs, which are compared in the order given. `peaks` may be empty; they are the roofs of the
    /// roofline.
    pub fn new(runs: &[LoadedRun], peaks: &[DevicePeaks]) -> Self {
        sections::report(runs, peaks)
    }

    /// Links a page that is written to `page` to the records of these runs, as far as they lie in the page's folder or below, so
    /// that the links hold when that folder is moved. `runs` are those that the report was made of.
    pub fn link_records(&mut self, runs: &[LoadedRun], page: &Path) {
        let folder = page.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize();
        let link = |(run, name): (&LoadedRun, &String)| {
            let record = run.folder().join("run.json").canonicalize().ok()?;
            let path = record.strip_prefix(folder.as_ref().ok()?).ok()?;
            Some((name.clone(), relative_url(path)))
        };
        self.record_links = runs.iter().zip(&self.runs).filter_map(link).collect();
    }
}

/// Returns a relative path as a URL (RFC 3986): all but its unreserved characters are written as their bytes.
fn relative_url(path: &Path) -> String {
    let mut url = String::from(".");
    for part in path {
        url.push('/');
        for byte in part.to_string_lossy().bytes() {
            match byte {
                b'-' | b'.' | b'_' | b'~' => url.push(char::from(byte)),
                byte if byte.is_ascii_alphanumeric() => url.push(char::from(byte)),
                byte => url += &format!("%{byte:02X}"),
            }
        }
    }
    url
}

/// A section, with a heading.
#[derive(Debug, Serialize)]
pub(crate) struct Section {
    /// The name in links, and in the names of files.
    pub id: &'static str,
    pub title: &'static str,
    pub blocks: Vec<Block>,
}

impl Section {
    pub(crate) fn new(id: &'static str, title: &'static str) -> Self {
        Self { id, title, blocks: Vec::new() }
    }
}

/// A part of a section.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Block {
    /// A paragraph.
    Text(String),
    /// Sentences that a reader must know, the gravest first.
    Warnings(Vec<Warning>),
    /// The most important numbers, each with its name.
    Figures(Vec<(String, Number)>),
    Table(Table),
    Chart(Box<Chart>),
    /// A command line or another text that is kept as it is.
    Code {
        caption: String,
        text: String,
    },
}

/// A sentence that a reader must know.
#[derive(Debug, Serialize)]
pub(crate) struct Warning {
    /// The runs that it concerns.
    pub runs: Vec<String>,
    pub level: Level,
    pub text: String,
}

/// How grave a warning is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// The run did not complete.
    Failure,
    /// A number may be wrong.
    Warning,
    /// A number is absent.
    Absent,
    /// A script's own warning.
    Script,
}

/// A table of the report: its heads, and rows of cells.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    /// The name in files, such as `latency`.
    pub id: String,
    pub caption: String,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Cell>>,
}

/// A column of a table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Column {
    pub name: String,
    /// The unit of the column's numbers, in UCUM's spelling. `None` for texts, and for numbers with a unit each.
    pub unit: Option<String>,
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cell {
    Text(String),
    /// A digest, a path or a command, which is set in a fixed width.
    Mono(String),
    Number(Number),
    Empty,
}

impl Table {
    pub(crate) fn new(id: &str, caption: impl Into<String>) -> Self {
        let (columns, rows) = (Vec::new(), Vec::new());
        Self { id: id.to_owned(), caption: caption.into(), columns, rows }
    }

    /// Adds a column of texts, or of numbers with a unit each.
    pub(crate) fn column(mut self, name: &str) -> Self {
        self.columns.push(Column { name: name.to_owned(), unit: None });
        self
    }

    /// Adds a column of numbers in one unit.
    pub(crate) fn numbers(mut self, name: &str, unit: &str) -> Self {
        self.columns.push(Column { name: name.to_owned(), unit: Some(unit.to_owned()) });
        self
    }

    /// Removes columns, except the first, in which no row has anything.
    pub(crate) fn without_empty_columns(mut self) -> Self {
        let is_kept = |place: usize| {
            place == 0
                || self
                    .rows
                    .iter()
                    .any(|row| row.get(place).is_some_and(|cell| *cell != Cell::Empty))
        };
        let kept: Vec<bool> = (0..self.columns.len()).map(is_kept).collect();
        let mut flags = kept.iter();
        self.columns.retain(|_| *flags.next().unwrap_or(&true));
        for row in &mut self.rows {
            let mut flags = kept.iter();
            row.retain(|_| *flags.next().unwrap_or(&true));
        }
        self
    }

    /// Returns the unit in which each column's numbers are shown. Columns of one unit have the same prefix, so that they can be
    /// compared. Numbers of a column without a unit are shown in a unit each.
    pub(crate) fn shown_units(&self) -> Vec<Option<ShownUnit>> {
        let values_of = |place: usize| {
            self.rows.iter().filter_map(move |row| match row.get(place) {
                Some(Cell::Number(number)) => number.known().map(|(value, _)| value),
                _ => None,
            })
        };
        let unit_of = |column: &Column| {
            let same =
                self.columns.iter().enumerate().filter(|(_, other)| other.unit == column.unit);
            let values = same.flat_map(|(place, _)| values_of(place));
            column.unit.as_ref().map(|unit| shown_unit(unit, values))
        };
        self.columns.iter().map(unit_of).collect()
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Number> for Cell {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(cell: Option<T>) -> Self {
        cell.map_or(Self::Empty, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_relative_url_whatever_its_characters() {
        assert_eq!(relative_url(Path::new("runs/a b#?/run.json")), "./runs/a%20b%23%3F/run.json");
        assert_eq!(relative_url(Path::new("javascript:x")), "./javascript%3Ax");
    }
}
