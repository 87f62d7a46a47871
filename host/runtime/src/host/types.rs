//! `types.wit`: quantities, readings and errors, to and fro.

use crate::{bindings::types, state::State};
use llem_quantity::{Quantity, Source};

impl types::Host for State {}
impl crate::bindings::description::Host for State {}
impl crate::bindings::trials::Host for State {}

/// What a host call answers: a WIT error goes to the guest, a wasmtime error ends it.
pub type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

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

impl From<types::Quantity> for Quantity {
    fn from(quantity: types::Quantity) -> Self {
        Self::new(quantity.value, quantity.uncertainty, quantity.unit, quantity.source.into())
    }
}

/// A reading as the guest sees it.
pub fn reading(reading: llem_quantity::Reading) -> types::Reading {
    reading.map(Into::into)
}

impl types::Error {
    /// What it says to people.
    pub fn sentence(&self) -> &str {
        let (Self::InvalidArgument(sentence)
        | Self::NotFound(sentence)
        | Self::NotGranted(sentence)
        | Self::Unsupported(sentence)
        | Self::LimitReached(sentence)
        | Self::Failed(sentence)) = self;
        sentence
    }
}

impl From<llem_engine::Error> for types::Error {
    fn from(error: llem_engine::Error) -> Self {
        use llem_engine::Error;
        let sentence = error.to_string();
        match error {
            Error::Invalid(_) | Error::BadFile { .. } => Self::InvalidArgument(sentence),
            Error::NotFound(_) => Self::NotFound(sentence),
            Error::Full(_) => Self::LimitReached(sentence),
            Error::Unsupported(_) => Self::Unsupported(sentence),
            Error::Tensor(_) | Error::Rank { .. } | Error::NotANumber(_) | Error::Interrupted => {
                Self::Failed(sentence)
            }
        }
    }
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
