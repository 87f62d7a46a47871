//! The floating-point formats of unquantised weights.

use crate::{Error, Result};
use std::str::FromStr;

/// A floating-point format in which a model can run.
///
/// ```
/// use llem_checkpoint::FloatFormat;
///
/// assert_eq!("bfloat16".parse::<FloatFormat>()?, FloatFormat::Bf16);
/// assert_eq!("torch.float16".parse::<FloatFormat>()?, FloatFormat::F16);
/// assert!("int8".parse::<FloatFormat>().is_err());
/// # Ok::<(), llem_checkpoint::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatFormat {
    /// IEEE 754 binary32, 4 bytes a number.
    F32,
    /// bfloat16, 2 bytes a number: the upper half of a binary32.
    Bf16,
    /// IEEE 754 binary16, 2 bytes a number.
    F16,
}

impl FromStr for FloatFormat {
    type Err = Error;

    /// Reads PyTorch's name of a format, with or without `torch.`, as `config.json` files write it.
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
