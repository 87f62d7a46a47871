//! A cell as its file means it, of which scripts see a [`Value`].

use crate::value::Value;

/// A cell of a row.
#[derive(Clone, Debug)]
pub enum Cell {
    /// What scripts see as what it is.
    Plain(Value),
    /// What scripts see as text though it is none.
    Told {
        /// What it is: `null`, `a list`.
        what: &'static str,
        /// What scripts see.
        text: String,
    },
}

impl Cell {
    /// A cell of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Plain(Value::Text(text.into()))
    }

    /// What it is, in a sentence.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Plain(Value::Text(_)) => "text",
            Self::Plain(Value::Integer(_) | Value::Number(_)) => "a number",
            Self::Plain(Value::Boolean(_)) => "true or false",
            Self::Told { what, .. } => what,
        }
    }
}

impl From<Cell> for Value {
    fn from(cell: Cell) -> Self {
        match cell {
            Cell::Plain(value) => value,
            Cell::Told { text, .. } => Self::Text(text),
        }
    }
}

/// A row's cells by name, in the file's order.
pub type Cells = Vec<(String, Cell)>;
