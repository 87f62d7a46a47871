//! The interface `types.wit`: conversions of quantities, readings and errors.

use crate::{
    bindings::types,
    error::{Error, Refusal, shorten},
    input_value::InputValue,
    store_data::StoreData,
};
use llem_engine::ErrorKind;
use llem_quantity::{Quantity, ReadingRecord, Source};

impl types::Host for StoreData {}

/// The result of a host call: the script receives the inner error, and the outer error ends it.
pub(super) type HostResult<T> = wasmtime::Result<Result<T, types::Error>>;

impl StoreData {
    /// Converts a result for the script. Success forgets the last error that the script reported.
    pub(crate) fn reply<T>(&self, answer: Result<T, Refusal>) -> HostResult<T> {
        if answer.is_ok() {
            self.forget_last_error();
        }
        Ok(answer.map_err(Into::into))
    }
}

impl From<Refusal> for types::Error {
    fn from(refusal: Refusal) -> Self {
        use types::ErrorCode;
        let code = match &refusal {
            Refusal::InvalidArgument(_) => ErrorCode::InvalidArgument,
            Refusal::NotFound(_) => ErrorCode::NotFound,
            Refusal::NotGranted(_) => ErrorCode::NotGranted,
            Refusal::Unsupported(_) => ErrorCode::Unsupported,
            Refusal::LimitReached(_) => ErrorCode::LimitReached,
            Refusal::Failed(_) => ErrorCode::Failed,
        };
        Self { code, message: refusal.shortened().to_string() }
    }
}

/// The most characters of the message with which a script ends.
const LAST_SENTENCE: usize = 2_000;

impl From<types::Error> for Error {
    /// Chooses the kind of failure by the error's code. A script may return a refusal of the host, so a wrong input of
    /// the user keeps its kind.
    fn from(error: types::Error) -> Self {
        let kind = match error.code {
            types::ErrorCode::InvalidArgument
            | types::ErrorCode::NotFound
            | types::ErrorCode::NotGranted
            | types::ErrorCode::Unsupported => ErrorKind::Input,
            types::ErrorCode::LimitReached => ErrorKind::Limit,
            types::ErrorCode::Failed => ErrorKind::Failed,
        };
        Self::Script { kind, message: shorten(error.message, LAST_SENTENCE) }
    }
}

impl From<InputValue> for types::Value {
    fn from(value: InputValue) -> Self {
        match value {
            InputValue::Text(text) => Self::Text(text),
            InputValue::Integer(integer) => Self::Integer(integer),
            InputValue::Number(number) => Self::Number(number),
            InputValue::Boolean(boolean) => Self::Boolean(boolean),
        }
    }
}

impl From<types::Value> for InputValue {
    fn from(value: types::Value) -> Self {
        match value {
            types::Value::Text(text) => Self::Text(text),
            types::Value::Integer(integer) => Self::Integer(integer),
            types::Value::Number(number) => Self::Number(number),
            types::Value::Boolean(boolean) => Self::Boolean(boolean),
        }
    }
}

impl From<Quantity> for types::Quantity {
    fn from(quantity: Quantity) -> Self {
        Self {
            value: quantity.value,
            uncertainty: quantity.uncertainty,
            unit: quantity.unit,
            source: quantity.source.name().to_owned(),
        }
    }
}

/// The most bytes of a unit that a script may give. UCUM's own units are far shorter.
const UNIT_LIMIT: usize = 64;

/// What is wrong with a quantity of a script. The caller puts its name before the sentence: `metric 'x' has ...`.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(unreachable_pub, reason = "it is the error of a conversion between public types")]
pub enum QuantityError {
    /// The value is infinite or NaN.
    #[error(
        "has the value {0}, which is not a finite number: leave out what could not be measured"
    )]
    Value(f64),
    /// The uncertainty is negative, infinite or NaN.
    #[error("has the uncertainty {0}: give one standard deviation, a finite number of at least 0")]
    Uncertainty(f64),
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// No source has this name.
    #[error(
        "has a source that this llem does not know: see the names of `source` in wit/types.wit, such as {}",
        Source::Derived.name()
    )]
    Source,
}

/// A unit is too long, or it has control characters, which would garble a terminal or a table. The caller puts the name
/// of what has the unit before the sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("has a unit of {bytes} bytes: give at most {UNIT_LIMIT}, and no control characters")]
#[allow(unreachable_pub, reason = "it is a part of `QuantityError`")]
pub struct UnitError {
    /// The length of the unit.
    bytes: usize,
}

impl TryFrom<types::Quantity> for Quantity {
    type Error = QuantityError;

    fn try_from(quantity: types::Quantity) -> Result<Self, QuantityError> {
        let types::Quantity { value, uncertainty, unit, source } = quantity;
        if !value.is_finite() {
            return Err(QuantityError::Value(value));
        }
        if !(uncertainty.is_finite() && uncertainty >= 0.0) {
            return Err(QuantityError::Uncertainty(uncertainty));
        }
        check_unit(&unit)?;
        let source = Source::from_name(&source).ok_or(QuantityError::Source)?;
        Ok(Self::new(value, uncertainty, unit, source))
    }
}

/// Refuses a unit that is too long, or that would garble a terminal or a table.
pub(super) fn check_unit(unit: &str) -> Result<(), UnitError> {
    if unit.len() > UNIT_LIMIT || unit.contains(char::is_control) {
        return Err(UnitError { bytes: unit.len() });
    }
    Ok(())
}

/// Converts a reading for the script.
pub(super) fn reading(reading: llem_quantity::Reading) -> types::Reading {
    match reading {
        Ok(quantity) => types::Reading::Known(quantity.into()),
        Err(reason) => types::Reading::Unavailable(reason.to_string()),
    }
}

/// Converts a reading of the record for the script.
pub(super) fn recorded(record: &ReadingRecord) -> types::Reading {
    reading(record.reading())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(value: f64, uncertainty: f64, unit: &str) -> Result<Quantity, QuantityError> {
        let (unit, source) = (unit.to_owned(), "rapl".to_owned());
        types::Quantity { value, uncertainty, unit, source }.try_into()
    }

    #[test]
    fn a_quantity_is_taken_as_it_is_or_refused() {
        let taken = given(-5.0, 3.0, "J");
        assert_eq!(taken, Ok(Quantity::new(-5.0, 3.0, "J", Source::Rapl)));
        for (value, uncertainty, reason) in [
            (f64::NAN, 0.0, "the value NaN"),
            (f64::INFINITY, 0.0, "the value inf"),
            (1.0, -3.0, "the uncertainty -3"),
            (1.0, f64::NAN, "the uncertainty NaN"),
            (1.0, f64::INFINITY, "the uncertainty inf"),
        ] {
            let refused = given(value, uncertainty, "J").expect_err("refused").to_string();
            assert!(refused.contains(reason), "{refused}");
        }
    }

    #[test]
    fn a_unit_is_short_and_has_no_control_characters() {
        assert!(given(1.0, 0.0, &"J".repeat(UNIT_LIMIT)).is_ok());
        assert!(given(1.0, 0.0, "µ{Ω}/°").is_ok());
        for unit in [&"J".repeat(UNIT_LIMIT + 1)[..], "\u{1b}[2J", "J\n", "\u{9b}J"] {
            let refused = given(1.0, 0.0, unit).expect_err("refused").to_string();
            assert!(refused.contains("has a unit of"), "{refused}");
        }
    }
}
