//! One column of a dataset as texts, for prompts.

use super::{
    RowReader,
    cell::{Cell, Cells},
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

impl TextColumn {
    pub(super) fn new(rows: Box<dyn RowReader>, name: &str) -> Self {
        Self { rows, name: name.to_owned() }
    }

    /// Returns why rows with these cells lack the column, with the columns that they have. Returns `None` if they have
    /// it.
    pub(super) fn missing(name: &str, cells: &Cells) -> Option<String> {
        let has = |name: &str| cells.iter().any(|(column, _)| column == name);
        if has(name) || (name == PROMPT && has(CONVERSATIONS)) {
            return None;
        }
        let names: Vec<_> =
            cells.iter().take(LISTED).map(|(name, _)| format!("'{name}'")).collect();
        let more = if cells.len() > LISTED { ", ..." } else { "" };
        let names = if names.is_empty() { "no columns".to_owned() } else { names.join(", ") };
        Some(format!("there is no column '{name}', but {names}{more}"))
    }

    /// The text of a row, or `None` if the row is to be skipped.
    fn text(&self, cells: Cells) -> Result<Option<String>, String> {
        if let Some(reason) = Self::missing(&self.name, &cells) {
            return Err(reason);
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

    fn first_turn(&self, cell: Cell) -> Result<Option<String>, String> {
        let what = cell.what();
        let turns: Vec<Turn> = match InputValue::from(cell) {
            InputValue::Text(text) => serde_json::from_str(&text).ok(),
            _ => None,
        }
        .ok_or_else(|| {
            format!("'{CONVERSATIONS}' is {what}, not a list of turns with a text 'value'")
        })?;
        let is_answered = turns.len() > 1;
        let Some(Turn { value }) = turns.into_iter().next().filter(|_| is_answered) else {
            return Ok(None);
        };
        let cell = value.map_or(Cell::AsText { what: "null", text: String::new() }, Cell::text);
        self.filled("conversations[0].value", cell).map(Some)
    }

    fn filled(&self, name: &str, cell: Cell) -> Result<String, String> {
        let what = match &cell {
            Cell::Plain(InputValue::Text(text)) if text.is_empty() => "empty",
            cell => cell.what(),
        };
        match cell {
            Cell::Plain(InputValue::Text(text)) if !text.is_empty() => Ok(text),
            _ => {
                Err(format!("'{name}' is {what}, not text: write a text there, or remove the row"))
            }
        }
    }
}

impl RowReader for TextColumn {
    fn next_row(&mut self) -> Result<Option<Cells>, String> {
        while let Some(cells) = self.rows.next_row()? {
            let text = self.text(cells);
            let text = text.map_err(|reason| format!("{}: {reason}", self.rows.place()))?;
            if let Some(text) = text {
                return Ok(Some(vec![(self.name.clone(), Cell::text(text))]));
            }
        }
        Ok(None)
    }

    fn place(&self) -> String {
        self.rows.place()
    }
}
