//! A cell with the meaning that it has in its file. Scripts see a [`InputValue`].

use crate::input_value::InputValue;

#[derive(Clone, Debug)]
pub enum Cell {
    /// A value that scripts see unchanged.
    Plain(InputValue),
    /// Something that is not text, which scripts see as text.
    AsText {
        /// What the cell is, for messages: `null`, `a list`.
        what: &'static str,
        /// The text that scripts see.
        text: String,
    },
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Plain(InputValue::Text(text.into()))
    }

    /// What the cell is, for a sentence.
    pub fn what(&self) -> &'static str {
        match self {
            Self::Plain(InputValue::Text(_)) => "text",
            Self::Plain(InputValue::Integer(_) | InputValue::Number(_)) => "a number",
            Self::Plain(InputValue::Boolean(_)) => "true or false",
            Self::AsText { what, .. } => what,
        }
    }
}

impl From<Cell> for InputValue {
    fn from(cell: Cell) -> Self {
        match cell {
            Cell::Plain(value) => value,
            Cell::AsText { text, .. } => Self::Text(text),
        }
    }
}

/// The cells of a row by name, in the order of the file.
pub(super) type Cells = Vec<(String, Cell)>;
