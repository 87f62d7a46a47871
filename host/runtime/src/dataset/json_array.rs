//! Reads a JSON array of objects one element at a time. ShareGPT's own file has this form.

use super::{
    RowReader,
    bounded_reader::{BoundedReader, Budget},
    cell::Cells,
    json::{self, JsonError},
    row_error::{RowCause, RowError, RowPlace},
};
use serde::Deserialize;
use std::io::{BufRead, BufReader};

/// The position of a reader in the array.
#[derive(Clone, Copy)]
enum ArrayPosition {
    Start,
    /// After the array's opening bracket.
    First,
    Next,
    End,
}

/// What is wrong with the array between its elements.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArrayError {
    #[error("there is no comma before it")]
    NoComma,
    #[error("the file ends before its array does")]
    NoEnd,
    #[error("something follows the array")]
    Followed,
}

/// A file that is one array of objects. Objects that only note the origin of the data are not rows.
pub(super) struct JsonArray {
    bytes: BufReader<BoundedReader>,
    budget: Budget,
    position: ArrayPosition,
    /// The number of elements that were read.
    elements: u64,
}

impl JsonArray {
    pub(super) fn new(bytes: BoundedReader) -> Self {
        let budget = bytes.budget();
        Self { budget, bytes: BufReader::new(bytes), position: ArrayPosition::Start, elements: 0 }
    }

    fn buffer(&mut self) -> Result<&[u8], RowError> {
        let place = self.next_place();
        self.bytes.fill_buf().map_err(|error| RowError::new(place, error))
    }

    /// Returns the next byte that is not white space, without consuming it.
    fn peek(&mut self) -> Result<Option<u8>, RowError> {
        loop {
            let buffer = self.buffer()?;
            let blanks = buffer.iter().take_while(|byte| b" \t\r\n".contains(byte)).count();
            let (found, is_end) = (buffer.get(blanks).copied(), buffer.is_empty());
            self.bytes.consume(blanks);
            if found.is_some() || is_end {
                return Ok(found);
            }
            self.budget.renew();
        }
    }

    /// Moves to the next element, past the bracket or comma before it. Returns true if there is one.
    fn advance(&mut self) -> Result<bool, RowError> {
        if matches!(self.position, ArrayPosition::Start) {
            // The caller that chose this reader has seen the bracket.
            self.peek()?;
            self.bytes.consume(1);
            self.position = ArrayPosition::First;
        }
        match (self.position, self.peek()?) {
            (ArrayPosition::End, None) => Ok(false),
            (ArrayPosition::End, Some(_)) => Err(self.refuse(ArrayError::Followed)),
            (_, None) => Err(self.refuse(ArrayError::NoEnd)),
            (_, Some(b']')) => {
                self.bytes.consume(1);
                self.position = ArrayPosition::End;
                self.advance()
            }
            (ArrayPosition::Next, Some(b',')) => {
                self.bytes.consume(1);
                Ok(true)
            }
            (ArrayPosition::Next, Some(_)) => Err(self.refuse(ArrayError::NoComma)),
            (ArrayPosition::Start | ArrayPosition::First, Some(_)) => Ok(true),
        }
    }

    fn refuse(&self, cause: impl Into<RowCause>) -> RowError {
        RowError::new(self.next_place(), cause)
    }

    /// The position of the element after those that were read.
    fn next_place(&self) -> RowPlace {
        RowPlace::Element(self.elements + 1)
    }
}

impl RowReader for JsonArray {
    fn next_row(&mut self) -> Result<Option<Cells>, RowError> {
        self.budget.renew();
        while self.advance()? {
            // The parser stops at the object's closing brace, so no byte after it is consumed.
            let mut parser = serde_json::Deserializer::from_reader(&mut self.bytes);
            let object: json::Object = Deserialize::deserialize(&mut parser)
                .map_err(|error| self.refuse(JsonError::new(error, self.bytes.buffer())))?;
            (self.elements, self.position) = (self.elements + 1, ArrayPosition::Next);
            if object.is_data() {
                return Ok(Some(object.cells()));
            }
            self.budget.renew();
        }
        Ok(None)
    }

    fn place(&self) -> RowPlace {
        RowPlace::Element(self.elements)
    }
}
