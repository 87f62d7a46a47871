//! The activation functions of an MLP, by the names in `config.json`.

use crate::{Error, Result};

/// The activation function of an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x / (1 + e^-x)`, called `silu` or `swish` in configs.
    Silu,
    /// `x Φ(x)`, called `gelu` in configs.
    Gelu,
    /// `x / 2 (1 + tanh(sqrt(2/π) (x + 0.044715 x³)))`, called `gelu_new` or `gelu_pytorch_tanh` in configs.
    GeluTanh,
}

impl Activation {
    /// Returns the activation with a name of transformers (`ACT2FN` in `activations.py`).
    ///
    /// # Errors
    /// Returns an error if this version does not have the activation.
    pub(crate) fn from_name(name: &str) -> Result<Self> {
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
