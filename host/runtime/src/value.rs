//! What a parameter or a dataset's cell holds.

use crate::secrets;

/// A value of one of the kinds that a script can declare.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// True or false.
    Boolean(bool),
}

impl Value {
    /// Reads a value of the same kind as this one. Fails with what kind that is, to be read after "must be".
    pub fn parse(&self, text: &str) -> Result<Self, &'static str> {
        match self {
            Self::Text(_) => Ok(Self::Text(text.to_owned())),
            Self::Integer(_) => text.parse().map(Self::Integer).map_err(|_| "a whole number"),
            Self::Number(_) => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Self::Number(number)),
                _ => Err("a number"),
            },
            Self::Boolean(_) => text.parse().map(Self::Boolean).map_err(|_| "true or false"),
        }
    }

    /// As JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Integer(integer) => (*integer).into(),
            Self::Number(number) => (*number).into(),
            Self::Boolean(boolean) => (*boolean).into(),
        }
    }

    /// As the record keeps the parameter of this name: a text without secrets.
    pub fn recorded(&self, name: &str) -> serde_json::Value {
        match self {
            Self::Text(text) => secrets::recorded(name, text).into(),
            value => value.to_json(),
        }
    }
}
