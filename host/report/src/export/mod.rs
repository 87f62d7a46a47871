//! The formats of a report. Each file writes one.

mod chart_table;
mod csv;
mod figures;
mod html;
mod json;
mod latex;
mod markdown;
mod pack;
mod page;
mod parquet;
mod pdf;
mod pdf_font;
mod plot;
mod svg;
mod text;

pub use figures::{Figure, FigureFormat, render_figures};

use crate::{
    document::{Block, Cell, Column, Report, Table},
    number::Number,
    prefix::ShownUnit,
};

/// A format of a report in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// One page with everything, for a browser.
    Html,
    /// All numbers in long form, one a row, not rounded.
    Csv,
    /// The numbers of [`Format::Csv`] with typed columns, for data frames and databases.
    Parquet,
    /// All sections as text with tables.
    Markdown,
    /// The tables for a paper.
    Latex,
    /// All sections, with tables and charts as data.
    Json,
    /// Tables, bars and sparklines for a terminal.
    Text,
}

impl Format {
    /// Every format that a report can be written in.
    pub const ALL: [Self; 7] =
        [Self::Html, Self::Csv, Self::Parquet, Self::Markdown, Self::Latex, Self::Json, Self::Text];

    /// Returns the name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Markdown => "markdown",
            Self::Latex => "latex",
            Self::Json => "json",
            Self::Text => "text",
        }
    }

    /// Returns the usual ending of a file of this format, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Markdown => "md",
            Self::Latex => "tex",
            Self::Text => "txt",
            other => other.name(),
        }
    }
}

/// Writes a report in a format. The result is UTF-8, except that Parquet is binary.
pub fn render(report: &Report, format: Format) -> Vec<u8> {
    match format {
        Format::Html => html::render(report).into_bytes(),
        Format::Csv => csv::render(report),
        Format::Parquet => parquet::render(report),
        Format::Markdown => markdown::render(report).into_bytes(),
        Format::Latex => latex::render(report).into_bytes(),
        Format::Json => json::render(report).into_bytes(),
        Format::Text => text::render(report).into_bytes(),
    }
}

/// A number of a table, with what it stands beside.
struct Row<'a> {
    section: &'a str,
    table: &'a str,
    /// The texts of the number's row, joined.
    row: String,
    column: &'a str,
    number: &'a Number,
}

/// Returns all numbers of all tables, in their order.
fn rows(report: &Report) -> Vec<Row<'_>> {
    let mut all = Vec::new();
    let tables = report.sections.iter().flat_map(|section| {
        section.blocks.iter().filter_map(move |block| match block {
            Block::Table(table) => Some((section.id, table)),
            _ => None,
        })
    });
    for (section, table) in tables {
        for row in &table.rows {
            let name = row_name(table, row);
            for (column, cell) in table.columns.iter().zip(row) {
                let Cell::Number(number) = cell else { continue };
                let (table, column, row) = (&table.id, &column.name, name.clone());
                all.push(Row { section, table, row, column, number });
            }
        }
    }
    all
}

/// The texts of a row before its first number; a number's source and coverage have columns of their own.
fn row_name(table: &Table, row: &[Cell]) -> String {
    let before =
        row.iter().zip(&table.columns).take_while(|(cell, _)| !matches!(cell, Cell::Number(_)));
    let texts = before.filter_map(|(cell, _)| match cell {
        Cell::Text(text) | Cell::Mono(text) => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("; ")
}

/// Returns a cell as plain text, with the unit of a number that has one of its own, and its mark.
fn plain_cell(cell: &Cell, unit: Option<&ShownUnit>) -> String {
    match cell {
        Cell::Text(text) | Cell::Mono(text) => text.clone(),
        Cell::Empty => String::new(),
        Cell::Number(number) => {
            let mark = number.mark.map_or_else(String::new, |mark| format!(" ({})", mark.word()));
            match unit {
                Some(unit) => number.text(unit) + &mark,
                None => {
                    let unit = number.shown_unit();
                    format!("{} {}", number.text(&unit), unit.name).trim_end().to_owned() + &mark
                }
            }
        }
    }
}

/// Returns the head of a column as plain text, with its unit.
fn plain_head(column: &Column, unit: Option<&ShownUnit>) -> String {
    match unit.map_or("", |unit| &unit.name) {
        "" => column.name.clone(),
        unit => format!("{} / {unit}", column.name),
    }
}
