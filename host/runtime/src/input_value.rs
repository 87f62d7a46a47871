//! The value of a parameter or of a dataset's cell.

use crate::redaction;

/// A value of one of the types that a script can declare.
#[derive(Clone, Debug, PartialEq)]
pub enum InputValue {
    /// UTF-8 text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A finite floating-point number.
    Number(f64),
    /// `true` or `false`.
    Boolean(bool),
}

impl InputValue {
    /// Parses a value of the same type as this one. The error names the type, to be read after "must be".
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

    /// Converts the value to JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Integer(integer) => (*integer).into(),
            Self::Number(number) => (*number).into(),
            Self::Boolean(boolean) => (*boolean).into(),
        }
    }

    /// Converts the value of the parameter `name` to JSON for the record, without secrets.
    pub fn redacted(&self, name: &str) -> serde_json::Value {
        match self {
            Self::Text(text) => redaction::redact(name, text).into(),
            value => value.to_json(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_parsed_as_the_type_of_the_default() {
        let (text, integer) = (InputValue::Text(String::new()), InputValue::Integer(0));
        let (number, boolean) = (InputValue::Number(0.0), InputValue::Boolean(false));
        assert_eq!(text.parse("1"), Ok(InputValue::Text("1".to_owned())));
        assert_eq!(integer.parse("-1"), Ok(InputValue::Integer(-1)));
        assert_eq!(number.parse("1e3"), Ok(InputValue::Number(1000.0)));
        assert_eq!(boolean.parse("true"), Ok(InputValue::Boolean(true)));
        assert_eq!(integer.parse("1.5"), Err("a whole number"));
        assert_eq!(number.parse("inf"), Err("a number"));
        assert_eq!(boolean.parse("yes"), Err("true or false"));
    }

    #[test]
    fn a_secret_is_not_recorded() {
        let value = InputValue::Text("abc".to_owned());
        assert_eq!(value.to_json(), "abc");
        assert_eq!(value.redacted("api-key"), "(not recorded)");
        assert_eq!(InputValue::Integer(5).redacted("api-key"), 5);
    }
}
