//! What is between the products of an MLP.

use crate::{Error, Result};

/// The functions between an MLP's products, by the names that configs give them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x / (1 + e^-x)`: `silu`, `swish`
    Silu,
    /// `x Φ(x)`: `gelu`
    Gelu,
    /// `x / 2 (1 + tanh(sqrt(2/π) (x + 0.044715 x³)))`: `gelu_new`, `gelu_pytorch_tanh`
    GeluTanh,
}

impl Activation {
    /// The one of that name (`ACT2FN` of transformers' `activations.py`).
    ///
    /// # Errors
    /// This version does not have it.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "silu" | "swish" => Ok(Self::Silu),
            "gelu" | "gelu_python" => Ok(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_python_tanh" | "gelu_fast"
            | "gelu_accurate" => Ok(Self::GeluTanh),
            other => Err(Error::Unsupported(format!(
                "activation '{other}' is not supported; this version has silu, gelu and gelu_new"
            ))),
        }
    }
}
