//! A JSON array of objects, read one element at a time, as ShareGPT's own file is.

use super::{
    Reader,
    bounded::{Bounded, Budget},
    cell::Cells,
    json,
};
use serde::Deserialize;
use std::io::{BufRead, BufReader};

/// Where a reader is.
#[derive(Clone, Copy)]
enum Place {
    /// Before the array's bracket.
    Start,
    /// After its bracket.
    First,
    /// After an element.
    Next,
    /// After the array.
    End,
}

/// A file that is one array of objects. Those that say where the data is from are no rows.
pub struct JsonArray {
    bytes: BufReader<Bounded>,
    budget: Budget,
    place: Place,
    /// Elements that were read.
    elements: u64,
}

impl JsonArray {
    /// A reader at the file's start.
    pub fn new(bytes: Bounded) -> Self {
        let budget = bytes.budget();
        Self { budget, bytes: BufReader::new(bytes), place: Place::Start, elements: 0 }
    }

    fn buffer(&mut self) -> Result<&[u8], String> {
        let place = at(self.elements);
        self.bytes.fill_buf().map_err(|error| format!("{place}: {error}"))
    }

    /// The next byte that is no white space, which stays to be read.
    fn peek(&mut self) -> Result<Option<u8>, String> {
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

    /// Goes to the next element, past the bracket or comma before it; says whether there is one.
    fn advance(&mut self) -> Result<bool, String> {
        if matches!(self.place, Place::Start) {
            // Who opens an array has seen its bracket.
            self.peek()?;
            self.bytes.consume(1);
            self.place = Place::First;
        }
        match (self.place, self.peek()?) {
            (Place::End, None) => Ok(false),
            (Place::End, Some(_)) => Err(self.refuse("something follows the array")),
            (_, None) => Err(self.refuse("the file ends before its array does")),
            (_, Some(b']')) => {
                self.bytes.consume(1);
                self.place = Place::End;
                self.advance()
            }
            (Place::Next, Some(b',')) => {
                self.bytes.consume(1);
                Ok(true)
            }
            (Place::Next, Some(_)) => Err(self.refuse("there is no comma before it")),
            (Place::Start | Place::First, Some(_)) => Ok(true),
        }
    }

    fn refuse(&self, reason: &str) -> String {
        format!("{}: {reason}", at(self.elements))
    }
}

/// The element after so many.
fn at(elements: u64) -> String {
    format!("element {}", elements + 1)
}

impl Reader for JsonArray {
    fn next_row(&mut self) -> Result<Option<Cells>, String> {
        self.budget.renew();
        while self.advance()? {
            // An object ends with its brace, so that no byte after it is taken.
            let mut parser = serde_json::Deserializer::from_reader(&mut self.bytes);
            let object: json::Object = Deserialize::deserialize(&mut parser)
                .map_err(|error| self.refuse(&json::sentence(&error, self.bytes.buffer())))?;
            (self.elements, self.place) = (self.elements + 1, Place::Next);
            if object.is_data() {
                return Ok(Some(object.cells()));
            }
            self.budget.renew();
        }
        Ok(None)
    }

    fn place(&self) -> String {
        format!("element {}", self.elements)
    }
}
