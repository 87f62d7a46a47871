//! One column of a dataset as texts, for prompts.

use super::{
    RowReader,
    cell::{Cell, Cells},
    row_error::{RowError, RowPlace},
};
use crate::input_value::InputValue;
use serde::Deserialize;

/// The usual name of the column with the prompts.
const PROMPT: &str = "prompt";

/// The column of a ShareGPT file, whose first turns are prompts.
const CONVERSATIONS: &str = "conversations";

/// The most columns that a message lists.
const LISTED: usize = 20;

/// Reads rows of one column, which must be text. In a ShareGPT file, the column `prompt` is the first turn of each
/// conversation of at least two turns, as in vLLM's benchmarks.
pub(super) struct TextColumn {
    rows: Box<dyn RowReader>,
    name: String,
}

/// A turn of a ShareGPT conversation.
#[derive(Deserialize)]
struct Turn {
    value: Option<String>,
}

/// Rows lack the column that is read.
#[derive(Debug, thiserror::Error)]
#[error("there is no column '{name}', but {}", list(.others, *.has_more))]
pub(super) struct MissingColumn {
    name: String,
    /// The columns that the rows have, at most [`LISTED`] of them.
    others: Vec<String>,
    /// Whether the rows have more columns than are listed.
    has_more: bool,
}

fn list(names: &[String], has_more: bool) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("'{name}'")).collect();
    let more = if has_more { ", ..." } else { "" };
    let names = if names.is_empty() { "no columns".to_owned() } else { names.join(", ") };
    format!("{names}{more}")
}

/// Why a row has no text in the column that is read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ColumnError {
    #[error(transparent)]
    Missing(#[from] MissingColumn),
    /// The column of a ShareGPT file holds something else.
    #[error("'{CONVERSATIONS}' is {what}, not a list of turns with a text 'value'")]
    NoTurns {
        /// What the cell is.
        what: &'static str,
    },
    /// A cell is empty or is not text.
    #[error("'{name}' is {what}, not text: write a text there, or remove the row")]
    NoText {
        /// The column, or the field within it.
        name: String,
        /// What the cell is.
        what: &'static str,
    },
}

impl TextColumn {
    pub(super) fn new(rows: Box<dyn RowReader>, name: &str) -> Self {
        Self { rows, name: name.to_owned() }
    }

    /// Returns an error that lists the columns of rows with these cells if they lack the column. Returns `None` if they
    /// have it.
    pub(super) fn missing(name: &str, cells: &Cells) -> Option<MissingColumn> {
        let has = |name: &str| cells.iter().any(|(column, _)| column == name);
        if has(name) || (name == PROMPT && has(CONVERSATIONS)) {
            return None;
        }
        Some(MissingColumn {
            name: name.to_owned(),
            others: cells.iter().take(LISTED).map(|(name, _)| name.clone()).collect(),
            has_more: cells.len() > LISTED,
        })
    }

    /// The text of a row, or `None` if the row is to be skipped.
    fn text(&self, cells: Cells) -> Result<Option<String>, ColumnError> {
        if let Some(missing) = Self::missing(&self.name, &cells) {
            return Err(missing.into());
        }
        let mut conversation = None;
        for (column, cell) in cells {
            if column == self.name {
                return self.filled(&self.name, cell).map(Some);
            }
            if column == CONVERSATIONS {
                conversation = Some(cell);
            }
        }
        conversation.map_or(Ok(None), |cell| self.first_turn(cell))
    }

    fn first_turn(&self, cell: Cell) -> Result<Option<String>, ColumnError> {
        let what = cell.what();
        let turns: Vec<Turn> = match InputValue::from(cell) {
            InputValue::Text(text) => serde_json::from_str(&text).ok(),
            _ => None,
        }
        .ok_or(ColumnError::NoTurns { what })?;
        let is_answered = turns.len() > 1;
        let Some(Turn { value }) = turns.into_iter().next().filter(|_| is_answered) else {
            return Ok(None);
        };
        let cell = value.map_or(Cell::AsText { what: "null", text: String::new() }, Cell::text);
        self.filled("conversations[0].value", cell).map(Some)
    }

    fn filled(&self, name: &str, cell: Cell) -> Result<String, ColumnError> {
        let what = match &cell {
            Cell::Plain(InputValue::Text(text)) if text.is_empty() => "empty",
            cell => cell.what(),
        };
        match cell {
            Cell::Plain(InputValue::Text(text)) if !text.is_empty() => Ok(text),
            _ => Err(ColumnError::NoText { name: name.to_owned(), what }),
        }
    }
}

impl RowReader for TextColumn {
    fn next_row(&mut self) -> Result<Option<Cells>, RowError> {
        while let Some(cells) = self.rows.next_row()? {
            let text = self.text(cells);
            let text = text.map_err(|error| RowError::new(self.rows.place(), error))?;
            if let Some(text) = text {
                return Ok(Some(vec![(self.name.clone(), Cell::text(text))]));
            }
        }
        Ok(None)
    }

    fn place(&self) -> RowPlace {
        self.rows.place()
    }
}
