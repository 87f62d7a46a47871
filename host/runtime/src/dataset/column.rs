//! One column of a dataset as texts, as prompts are.

use super::{
    Reader,
    cell::{Cell, Cells},
};
use crate::value::Value;
use serde::Deserialize;

/// The column that prompts usually stand in.
const PROMPT: &str = "prompt";

/// The column of a ShareGPT file, whose first turns are its prompts.
const CONVERSATIONS: &str = "conversations";

/// Most columns that a sentence lists.
const LISTED: usize = 20;

/// Rows that have one column, which is text. Of a file in the form of ShareGPT the column `prompt` is the first turn of
/// each conversation of at least two, as vLLM's benchmarks take it.
pub struct Column {
    rows: Box<dyn Reader>,
    name: String,
}

/// A turn of a ShareGPT conversation.
#[derive(Deserialize)]
struct Turn {
    value: Option<String>,
}

impl Column {
    /// The column of this name.
    pub fn new(rows: Box<dyn Reader>, name: &str) -> Self {
        Self { rows, name: name.to_owned() }
    }

    /// Why rows with these cells have no such column, and which they have; none where they have it.
    pub fn missing(name: &str, cells: &Cells) -> Option<String> {
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

    /// The text of a row; none where the row has none to give.
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
        let turns: Vec<Turn> = match Value::from(cell) {
            Value::Text(text) => serde_json::from_str(&text).ok(),
            _ => None,
        }
        .ok_or_else(|| {
            format!("'{CONVERSATIONS}' is {what}, not a list of turns with a text 'value'")
        })?;
        let is_answered = turns.len() > 1;
        let Some(Turn { value }) = turns.into_iter().next().filter(|_| is_answered) else {
            return Ok(None);
        };
        let cell = value.map_or(Cell::Told { what: "null", text: String::new() }, Cell::text);
        self.filled("conversations[0].value", cell).map(Some)
    }

    fn filled(&self, name: &str, cell: Cell) -> Result<String, String> {
        let what = match &cell {
            Cell::Plain(Value::Text(text)) if text.is_empty() => "empty",
            cell => cell.what(),
        };
        match cell {
            Cell::Plain(Value::Text(text)) if !text.is_empty() => Ok(text),
            _ => {
                Err(format!("'{name}' is {what}, not text: write a text there, or remove the row"))
            }
        }
    }
}

impl Reader for Column {
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
