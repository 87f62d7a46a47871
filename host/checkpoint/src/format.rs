//! Number formats of unquantised tensors.

use crate::{Error, Result};
use std::str::FromStr;

/// What a tensor's numbers are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// IEEE 754 binary32.
    F32,
    /// bfloat16.
    Bf16,
    /// IEEE 754 binary16.
    F16,
}

impl FromStr for Format {
    type Err = Error;

    /// By the names that configs use: torch's.
    fn from_str(name: &str) -> Result<Self> {
        match name.trim_start_matches("torch.") {
            "float32" | "float" => Ok(Self::F32),
            "bfloat16" => Ok(Self::Bf16),
            "float16" | "half" => Ok(Self::F16),
            other => Err(Error::Invalid(format!(
                "unknown number format '{other}': use float32, bfloat16 or float16"
            ))),
        }
    }
}
