//! Parameters and datasets: what the user gives to the experiment on the command line.

use crate::{Error, Result, bindings::inputs, error::ErrorCode};
use std::{
    fmt::Display,
    ops::{Bound, RangeBounds},
};

pub use crate::bindings::types::Value;
pub use inputs::{Row, seed};

/// Returns the value of a declared parameter as a Rust type. Fails with `not-found` if `about` did not declare the
/// parameter, and with `invalid-argument` if the value does not fit the type.
pub fn parameter<T: FromValue>(name: &str) -> Result<T> {
    let value = inputs::parameter(name)?;
    T::from_value(&value).ok_or_else(|| {
        Error::invalid_argument(format!("parameter '{name}' is out of range: {value:?}"))
    })
}

/// Returns the value of a declared parameter that is a number in a range. Fails like [`parameter`], and with
/// `invalid-argument` if the number is out of the range.
///
/// ```no_run
/// use llem_sdk::inputs::parameter_within;
///
/// let batch_size: u32 = parameter_within("batch-size", 1..)?;
/// let share: f64 = parameter_within("share", 0.0..=1.0)?;
/// # Ok::<(), llem_sdk::Error>(())
/// ```
pub fn parameter_within<T>(name: &str, range: impl RangeBounds<T>) -> Result<T>
where
    T: FromValue + PartialOrd + Display,
{
    // A whole number that does not fit its type is out of the range too, which the message then tells.
    let value = inputs::parameter(name)?;
    match T::from_value(&value) {
        Some(value) => within(name, value, &range),
        None => Err(out_of(name, &shown(&value), &range)),
    }
}

/// Returns the value if it is in the range. Otherwise fails with a sentence that names the range.
fn within<T: PartialOrd + Display>(name: &str, value: T, range: &impl RangeBounds<T>) -> Result<T> {
    match range.contains(&value) {
        true => Ok(value),
        false => Err(out_of(name, &value.to_string(), range)),
    }
}

fn out_of<T: Display>(name: &str, value: &str, range: &impl RangeBounds<T>) -> Error {
    let low = match range.start_bound() {
        Bound::Included(low) | Bound::Excluded(low) => Some(low),
        Bound::Unbounded => None,
    };
    let wanted = match (low, range.end_bound()) {
        (Some(low), Bound::Included(high)) => format!("a number from {low} to {high}"),
        (Some(low), Bound::Excluded(high)) => format!("a number from {low} to below {high}"),
        (Some(low), Bound::Unbounded) => format!("{low} or more"),
        (None, Bound::Included(high)) => format!("{high} or less"),
        (None, Bound::Excluded(high)) => format!("a number below {high}"),
        (None, Bound::Unbounded) => "a number".to_owned(),
    };
    Error::invalid_argument(format!("{name} is {value}: set it to {wanted} with -p {name}=NUMBER"))
}

/// Returns a value as messages show it.
fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Integer(integer) => integer.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Boolean(boolean) => boolean.to_string(),
    }
}

/// Returns the value of a text parameter that holds whole numbers above 0, separated by commas. Fails with
/// `invalid-argument` if a part is anything else.
pub fn sizes(name: &str) -> Result<Vec<usize>> {
    let text: String = parameter(name)?;
    let size = |part: &str| part.trim().parse().ok().filter(|&size| size > 0);
    text.split(',')
        .map(|part| {
            let refuse = || format!("{name}: '{part}' is no whole number above 0");
            size(part).ok_or_else(|| Error::invalid_argument(refuse()))
        })
        .collect()
}

/// A type that a parameter or a field of a dataset row can be converted to.
pub trait FromValue: Sized {
    /// The name of the type in error messages: `a whole number (u32)`.
    const KIND: &'static str;

    /// Converts a value. Returns `None` if the value is of another kind or out of range.
    fn from_value(value: &Value) -> Option<Self>;

    /// Parses a dataset cell that is text. Returns `None` if the text is not of this type.
    fn from_text(text: &str) -> Option<Self>;
}

macro_rules! whole_numbers {
    ($($kind:ty),*) => {$(
        impl FromValue for $kind {
            const KIND: &'static str = concat!("a whole number (", stringify!($kind), ")");

            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::Integer(integer) => (*integer).try_into().ok(),
                    _ => None,
                }
            }

            fn from_text(text: &str) -> Option<Self> {
                text.trim().parse().ok()
            }
        }
    )*};
}

whole_numbers!(i32, i64, u32, u64, usize);

impl FromValue for f64 {
    const KIND: &'static str = "a finite number";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => Some(*number),
            Value::Integer(integer) => Some(*integer as Self),
            _ => None,
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        text.trim().parse().ok().filter(|number: &Self| number.is_finite())
    }
}

impl FromValue for String {
    const KIND: &'static str = "text";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl FromValue for bool {
    const KIND: &'static str = "true or false";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Boolean(boolean) => Some(*boolean),
            _ => None,
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        match text.trim() {
            text if text.eq_ignore_ascii_case("true") => Some(true),
            text if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }
}

impl Row {
    /// Returns a field as a Rust type. Cells of CSV files are text and are parsed here: `007` is 7 as a number and
    /// stays `007` as a `String`. A null, a list or an object in a JSON file is its JSON text here, so prompts should
    /// be read with [`texts_if_granted`]. Fails with `invalid-argument` if the row has no such field or if its value
    /// does not fit.
    ///
    /// ```
    /// use llem_sdk::inputs::{Row, Value};
    ///
    /// let fields = vec![("zip".to_owned(), Value::Text("007".to_owned()))];
    /// let row = Row { index: 0, fields };
    /// assert_eq!(row.get::<String>("zip")?, "007");
    /// assert_eq!(row.get::<u32>("zip")?, 7);
    /// assert!(row.get::<bool>("zip").is_err());
    /// # Ok::<(), llem_sdk::Error>(())
    /// ```
    pub fn get<T: FromValue>(&self, name: &str) -> Result<T> {
        let field = self.fields.iter().find(|(field, _)| field == name);
        let (_, value) = field.ok_or_else(|| {
            let known: Vec<_> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
            Error::invalid_argument(format!(
                "row {} has no field '{name}'; it has {}",
                self.index,
                known.join(", ")
            ))
        })?;
        let parsed = match value {
            Value::Text(text) => T::from_text(text),
            value => T::from_value(value),
        };
        let shown = shown(value);
        parsed.ok_or_else(|| {
            Error::invalid_argument(format!(
                "row {}: field '{name}' is {shown}, which is not {}",
                self.index,
                T::KIND
            ))
        })
    }
}

/// A dataset that the user granted with `--dataset name=file`.
#[derive(Debug)]
pub struct Dataset(inputs::Dataset);

impl Dataset {
    /// Opens a granted dataset. Fails with `not-granted` if no `--dataset` names it.
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self(inputs::Dataset::open(name)?))
    }

    /// Returns the next row, or `None` at the end.
    pub fn next_row(&self) -> Result<Option<Row>> {
        Ok(self.0.next()?)
    }

    /// Returns at most `most` of the next rows. The list is empty at the end.
    pub fn next_rows(&self, most: u32) -> Result<Vec<Row>> {
        Ok(self.0.next_rows(most)?)
    }

    /// Returns the total number of rows. A file format that does not store it is read once to count them.
    pub fn length(&self) -> Result<u64> {
        Ok(self.0.length()?)
    }

    /// Goes back to the first row.
    pub fn rewind(&self) -> Result<()> {
        Ok(self.0.rewind()?)
    }
}

/// Opens a dataset and returns its rows. Fails with `not-granted` if no `--dataset` names it.
pub fn rows(name: &str) -> Result<DatasetRows> {
    Ok(DatasetRows(Dataset::open(name)?))
}

/// Opens a dataset and returns its rows, or `None` if it was not granted. Fails if a granted file cannot be read.
pub fn rows_if_granted(name: &str) -> Result<Option<DatasetRows>> {
    match Dataset::open(name) {
        Ok(dataset) => Ok(Some(DatasetRows(dataset))),
        Err(error) if error.code == ErrorCode::NotGranted => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a column of a dataset and returns its texts, or `None` if the dataset was not granted. `parameter` is the name
/// of the text parameter that names the column (`-p prompt-column=question`). In a ShareGPT file the column `prompt` is
/// the first turn of each conversation that has at least two turns.
///
/// Use this for prompts. Unlike [`Row::get`], which returns other JSON values as text, the iterator fails at the first
/// cell that is null, a list, an object, a number or empty, and names its position.
pub fn texts_if_granted(dataset: &str, parameter: &str) -> Result<Option<DatasetTexts>> {
    if rows_if_granted(dataset)?.is_none() {
        return Ok(None);
    }
    let column: String = self::parameter(parameter)?;
    match Dataset::open(&format!("{dataset}#{column}")) {
        Ok(texts) => Ok(Some(DatasetTexts { rows: DatasetRows(texts), column })),
        Err(error) if error.code == ErrorCode::NotFound => {
            let sentence = format!("{}: choose one with -p {parameter}=NAME", error.message);
            Err(Error::invalid_argument(sentence))
        }
        Err(error) => Err(error),
    }
}

/// An iterator over the texts of a dataset column.
#[derive(Debug)]
pub struct DatasetTexts {
    rows: DatasetRows,
    column: String,
}

impl Iterator for DatasetTexts {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.rows.next()?.and_then(|row| row.get(&self.column)))
    }
}

/// An iterator over the rows of a dataset.
#[derive(Debug)]
pub struct DatasetRows(Dataset);

impl Iterator for DatasetRows {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next_row().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: Value) -> Row {
        Row { index: 3, fields: vec![("cell".to_owned(), value)] }
    }

    #[test]
    fn a_number_out_of_its_range_is_refused_with_the_range() {
        assert_eq!(within("rounds", 3, &(1..=3)), Ok(3));
        let refused = |error: Error| error.message;
        let few = "rounds is 0: set it to 1 or more with -p rounds=NUMBER";
        assert_eq!(within("rounds", 0, &(1..)).map_err(refused), Err(few.to_owned()));
        let much = "share is 1.5: set it to a number from 0 to 1 with -p share=NUMBER";
        assert_eq!(within("share", 1.5, &(0.0..=1.0)).map_err(refused), Err(much.to_owned()));
        assert!(within("rate", f64::NAN, &(0.0..)).is_err());
    }

    #[test]
    fn a_cell_is_converted_to_the_requested_type() {
        let cell = |text: &str| row(Value::Text(text.to_owned()));
        assert_eq!(cell("007").get::<String>("cell"), Ok("007".to_owned()));
        assert_eq!(cell("007").get::<u32>("cell"), Ok(7));
        assert_eq!(cell("9223372036854775808").get::<u64>("cell"), Ok(1 << 63));
        assert_eq!(cell("1e5").get::<f64>("cell"), Ok(1e5));
        assert_eq!(cell("True").get::<bool>("cell"), Ok(true));
        assert_eq!(row(Value::Integer(7)).get::<f64>("cell"), Ok(7.0));
    }

    #[test]
    fn an_error_names_the_row_and_column_of_a_malformed_cell() {
        let cell = |text: &str| row(Value::Text(text.to_owned()));
        let refused = |error: Error| error.message;
        assert_eq!(
            cell("many").get::<u32>("cell").map_err(refused),
            Err("row 3: field 'cell' is \"many\", which is not a whole number (u32)".to_owned())
        );
        for (text, is_number) in [("1e5", true), ("nan", false), ("inf", false), ("", false)] {
            assert_eq!(cell(text).get::<f64>("cell").is_ok(), is_number, "{text}");
        }
        assert!(cell("-1").get::<u64>("cell").is_err());
        assert!(row(Value::Integer(7)).get::<String>("cell").is_err());
    }
}
