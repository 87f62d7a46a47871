//! Parameters and datasets.

use crate::{Error, Result, bindings::inputs, error::ErrorCode};

pub use crate::bindings::types::Value;
pub use inputs::{Row, seed};

/// The value of a declared parameter, as the Rust type that is asked for.
pub fn parameter<T: FromValue>(name: &str) -> Result<T> {
    let value = inputs::parameter(name)?;
    T::from_value(&value).ok_or_else(|| {
        Error::invalid_argument(format!("parameter '{name}' is out of range: {value:?}"))
    })
}

/// The value of a declared text parameter that holds whole numbers above 0, separated by commas.
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

/// What a parameter or a field of a row can be read as.
pub trait FromValue: Sized {
    /// What it is, in a sentence: `a whole number (u32)`.
    const KIND: &'static str;

    /// None where the value is of another kind or out of range.
    fn from_value(value: &Value) -> Option<Self>;

    /// Reads a cell of a dataset that came as text. None where it is none of these.
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
    /// A field, as the Rust type that is asked for. Cells of CSV files come as text, and are parsed here: `007` is 7
    /// where a number is asked for, and stays `007` as a `String`. What a file has as null or a list is JSON text here:
    /// prompts are read with [`texts_if_granted`].
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
        let read = match value {
            Value::Text(text) => T::from_text(text),
            value => T::from_value(value),
        };
        let shown = match value {
            Value::Text(text) => format!("{text:?}"),
            Value::Integer(integer) => integer.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Boolean(boolean) => boolean.to_string(),
        };
        read.ok_or_else(|| {
            Error::invalid_argument(format!(
                "row {}: field '{name}' is {shown}, which is not {}",
                self.index,
                T::KIND
            ))
        })
    }
}

/// A file that was granted with `--dataset name=file`.
#[derive(Debug)]
pub struct Dataset(inputs::Dataset);

impl Dataset {
    /// Opens a granted dataset. Fails with `not-granted` where no `--dataset` names it.
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self(inputs::Dataset::open(name)?))
    }

    /// The next row, or none at the end.
    pub fn next_row(&self) -> Result<Option<Row>> {
        Ok(self.0.next()?)
    }

    /// The next rows, at most so many; none at the end.
    pub fn next_rows(&self, most: u32) -> Result<Vec<Row>> {
        Ok(self.0.next_rows(most)?)
    }

    /// How many rows there are in all. What does not say so is read once for it.
    pub fn length(&self) -> Result<u64> {
        Ok(self.0.length()?)
    }

    /// Goes back to the first row.
    pub fn rewind(&self) -> Result<()> {
        Ok(self.0.rewind()?)
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
        Err(error) if error.code == ErrorCode::NotGranted => Ok(None),
        Err(error) => Err(error),
    }
}

/// The texts of a dataset's column, which prompts are made of, or none where the dataset was not granted. `parameter`
/// is the text parameter that names the column (`-p prompt-column=question`). Of a file in the form of ShareGPT the column
/// `prompt` is the first turn of each conversation of at least two.
///
/// Unlike [`Row::get`], to which what is no text in its file is JSON text, this fails at the first cell that is null, a
/// list, a number or empty, and says where it stands.
pub fn texts_if_granted(dataset: &str, parameter: &str) -> Result<Option<Texts>> {
    if rows_if_granted(dataset)?.is_none() {
        return Ok(None);
    }
    let column: String = self::parameter(parameter)?;
    match Dataset::open(&format!("{dataset}#{column}")) {
        Ok(texts) => Ok(Some(Texts { rows: Rows(texts), column })),
        Err(error) if error.code == ErrorCode::NotFound => {
            let sentence = format!("{}: choose one with -p {parameter}=NAME", error.message);
            Err(Error::invalid_argument(sentence))
        }
        Err(error) => Err(error),
    }
}

/// The texts of a column, read one by one.
#[derive(Debug)]
pub struct Texts {
    rows: Rows,
    column: String,
}

impl Iterator for Texts {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.rows.next()?.and_then(|row| row.get(&self.column)))
    }
}

/// The rows of a dataset, read one by one.
#[derive(Debug)]
pub struct Rows(Dataset);

impl Iterator for Rows {
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
    fn a_cell_is_read_as_what_is_asked_for() {
        let cell = |text: &str| row(Value::Text(text.to_owned()));
        assert_eq!(cell("007").get::<String>("cell"), Ok("007".to_owned()));
        assert_eq!(cell("007").get::<u32>("cell"), Ok(7));
        assert_eq!(cell("9223372036854775808").get::<u64>("cell"), Ok(1 << 63));
        assert_eq!(cell("1e5").get::<f64>("cell"), Ok(1e5));
        assert_eq!(cell("True").get::<bool>("cell"), Ok(true));
        assert_eq!(row(Value::Integer(7)).get::<f64>("cell"), Ok(7.0));
    }

    #[test]
    fn a_cell_that_is_none_names_its_row_and_column() {
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
