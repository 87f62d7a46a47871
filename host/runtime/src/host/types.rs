//! `types.wit`: quantities, readings and errors, to and fro.

use crate::{bindings::types, error::Refusal, state::State, value::Value};
use llem_quantity::{Quantity, ReadingRecord, Source};

impl types::Host for State {}
impl crate::bindings::description::Host for State {}
impl crate::bindings::trials::Host for State {}

/// What a guest is told: an error goes to it, a wasmtime error ends it.
pub type Told<T> = wasmtime::Result<Result<T, types::Error>>;

impl State {
    /// Tells a guest what became of its call. With one that has succeeded it goes on.
    pub fn told<T>(&self, answer: Result<T, Refusal>) -> Told<T> {
        if answer.is_ok() {
            self.went_on();
        }
        Ok(answer.map_err(Into::into))
    }

    /// The same for a call that fails only because of something that was given to the run: if the script ends with that
    /// very error, it is the giver's to mend.
    pub fn told_of_given<T>(&self, answer: Result<T, Refusal>) -> Told<T> {
        let answer = answer.map_err(Refusal::short);
        if let Err(refusal) = &answer {
            self.run.output.refused(refusal.clone());
        }
        self.told(answer)
    }
}

impl From<Refusal> for types::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal.short() {
            Refusal::InvalidArgument(sentence) => Self::InvalidArgument(sentence),
            Refusal::NotFound(sentence) => Self::NotFound(sentence),
            Refusal::NotGranted(sentence) => Self::NotGranted(sentence),
            Refusal::Unsupported(sentence) => Self::Unsupported(sentence),
            Refusal::LimitReached(sentence) => Self::LimitReached(sentence),
            Refusal::Failed(sentence) => Self::Failed(sentence),
        }
    }
}

impl From<Value> for types::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text),
            Value::Integer(integer) => Self::Integer(integer),
            Value::Number(number) => Self::Number(number),
            Value::Boolean(boolean) => Self::Boolean(boolean),
        }
    }
}

impl From<types::Value> for Value {
    fn from(value: types::Value) -> Self {
        match value {
            types::Value::Text(text) => Self::Text(text),
            types::Value::Integer(integer) => Self::Integer(integer),
            types::Value::Number(number) => Self::Number(number),
            types::Value::Boolean(boolean) => Self::Boolean(boolean),
        }
    }
}

impl From<Source> for types::Source {
    fn from(source: Source) -> Self {
        match source {
            Source::Clock => Self::Clock,
            Source::Counted => Self::Counted,
            Source::NvmlCounter => Self::NvmlCounter,
            Source::NvmlPower => Self::NvmlPower,
            Source::Rapl => Self::Rapl,
            Source::Sensor => Self::Sensor,
            Source::Analytic => Self::Analytic,
            Source::Derived => Self::Derived,
            Source::Modelled => Self::Modelled,
            Source::Datasheet => Self::Datasheet,
            Source::Simulated => Self::Simulated,
            Source::Script => Self::Script,
        }
    }
}

impl From<types::Source> for Source {
    fn from(source: types::Source) -> Self {
        match source {
            types::Source::Clock => Self::Clock,
            types::Source::Counted => Self::Counted,
            types::Source::NvmlCounter => Self::NvmlCounter,
            types::Source::NvmlPower => Self::NvmlPower,
            types::Source::Rapl => Self::Rapl,
            types::Source::Sensor => Self::Sensor,
            types::Source::Analytic => Self::Analytic,
            types::Source::Derived => Self::Derived,
            types::Source::Modelled => Self::Modelled,
            types::Source::Datasheet => Self::Datasheet,
            types::Source::Simulated => Self::Simulated,
            types::Source::Script => Self::Script,
        }
    }
}

impl From<Quantity> for types::Quantity {
    fn from(quantity: Quantity) -> Self {
        Self {
            value: quantity.value,
            uncertainty: quantity.uncertainty,
            unit: quantity.unit,
            source: quantity.source.into(),
        }
    }
}

/// Longest unit that a script may give, in bytes: UCUM's own are far shorter.
const UNIT_LIMIT: usize = 64;

impl TryFrom<types::Quantity> for Quantity {
    /// What is wrong with it and how to mend that, to be read after its name: `has the uncertainty -3: ...`.
    type Error = String;

    fn try_from(quantity: types::Quantity) -> Result<Self, String> {
        let types::Quantity { value, uncertainty, unit, source } = quantity;
        if !value.is_finite() {
            return Err(format!(
                "has the value {value}, which is not a finite number: leave out what could not be measured"
            ));
        }
        if !(uncertainty.is_finite() && uncertainty >= 0.0) {
            return Err(format!(
                "has the uncertainty {uncertainty}: give one standard deviation, a finite number of at least 0"
            ));
        }
        check_unit(&unit)?;
        Ok(Self::new(value, uncertainty, unit, source.into()))
    }
}

/// Refuses a unit that is too long, or that would garble a terminal or a table.
pub fn check_unit(unit: &str) -> Result<(), String> {
    if unit.len() > UNIT_LIMIT || unit.contains(char::is_control) {
        return Err(format!(
            "has a unit of {} bytes: give at most {UNIT_LIMIT}, and no control characters",
            unit.len()
        ));
    }
    Ok(())
}

/// A reading as the guest sees it.
pub fn reading(reading: llem_quantity::Reading) -> types::Reading {
    reading.map(Into::into)
}

/// What the record keeps of a reading, as the guest sees it.
pub fn recorded(record: &ReadingRecord) -> types::Reading {
    reading(record.reading())
}

impl From<llem_engine::DType> for types::Dtype {
    fn from(dtype: llem_engine::DType) -> Self {
        match dtype {
            llem_engine::DType::F32 => Self::F32,
            llem_engine::DType::Bf16 => Self::Bf16,
            llem_engine::DType::F16 => Self::F16,
        }
    }
}

impl From<types::Dtype> for llem_engine::DType {
    fn from(dtype: types::Dtype) -> Self {
        match dtype {
            types::Dtype::F32 => Self::F32,
            types::Dtype::Bf16 => Self::Bf16,
            types::Dtype::F16 => Self::F16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(value: f64, uncertainty: f64, unit: &str) -> Result<Quantity, String> {
        let (unit, source) = (unit.to_owned(), types::Source::Rapl);
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
            let refused = given(value, uncertainty, "J").expect_err("refused");
            assert!(refused.contains(reason), "{refused}");
        }
    }

    #[test]
    fn a_unit_is_short_and_has_no_control_characters() {
        assert!(given(1.0, 0.0, &"J".repeat(UNIT_LIMIT)).is_ok());
        assert!(given(1.0, 0.0, "µ{Ω}/°").is_ok());
        for unit in [&"J".repeat(UNIT_LIMIT + 1)[..], "\u{1b}[2J", "J\n", "\u{9b}J"] {
            let refused = given(1.0, 0.0, unit).expect_err("refused");
            assert!(refused.contains("has a unit of"), "{refused}");
        }
    }
}
