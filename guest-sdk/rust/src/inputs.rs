//! Parameters, datasets and random numbers.

use crate::{
    Error, Result,
    bindings::{Value, inputs, inputs::Row, types},
};

pub use inputs::{Dataset, Random, seed};

/// The value of a declared parameter, as the Rust type that is asked for.
pub fn parameter<T: FromValue>(name: &str) -> Result<T> {
    let value = inputs::parameter(name)?;
    T::from_value(&value)
        .ok_or_else(|| Error(format!("parameter '{name}' is out of range: {value:?}")))
}

/// The value of a declared text parameter that holds whole numbers above 0, separated by commas.
pub fn sizes(name: &str) -> Result<Vec<usize>> {
    let text: String = parameter(name)?;
    let size = |part: &str| part.trim().parse().ok().filter(|&size| size > 0);
    text.split(',')
        .map(|part| {
            let refuse = || Error(format!("{name}: '{part}' is no whole number above 0"));
            size(part).ok_or_else(refuse)
        })
        .collect()
}

/// What a parameter or a field of a row can be read as.
pub trait FromValue: Sized {
    /// None where the value is of another kind or out of range.
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! whole_numbers {
    ($($kind:ty),*) => {$(
        impl FromValue for $kind {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::Integer(integer) => (*integer).try_into().ok(),
                    _ => None,
                }
            }
        }
    )*};
}

whole_numbers!(i32, i64, u32, u64, usize);

impl FromValue for f64 {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => Some(*number),
            Value::Integer(integer) => Some(*integer as Self),
            _ => None,
        }
    }
}

impl FromValue for String {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl FromValue for bool {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }
}

impl Row {
    /// A field, as the Rust type that is asked for.
    pub fn get<T: FromValue>(&self, name: &str) -> Result<T> {
        let field = self.fields.iter().find(|(field, _)| field == name);
        let (_, value) = field.ok_or_else(|| {
            let known: Vec<_> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
            Error(format!("row {} has no field '{name}'; it has {}", self.index, known.join(", ")))
        })?;
        T::from_value(value)
            .ok_or_else(|| Error(format!("row {}: field '{name}' is of another kind", self.index)))
    }
}

/// The rows of a dataset, or the reason why it cannot be read.
pub fn rows(name: &str) -> Result<Rows> {
    Ok(Rows(Dataset::open(name)?))
}

/// The rows of a dataset, or none where it was not granted. A granted file that cannot be read is
/// an error still.
pub fn rows_if_granted(name: &str) -> Result<Option<Rows>> {
    match Dataset::open(name) {
        Ok(dataset) => Ok(Some(Rows(dataset))),
        Err(types::Error::NotGranted(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The rows of a dataset, read one by one.
#[derive(Debug)]
pub struct Rows(Dataset);

impl Iterator for Rows {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map_err(Into::into).transpose()
    }
}
