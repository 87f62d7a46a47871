//! The number formats of devices.

use crate::{Error, Result};
use std::{fmt, str::FromStr};

/// The number format of weights, activations, keys and values.
///
/// ```
/// use llem_compute::DType;
///
/// let dtype: DType = "torch.bfloat16".parse()?;
/// assert_eq!(dtype, DType::Bf16);
/// assert_eq!(dtype.size(), 2);
/// assert_eq!(dtype.to_string(), "bf16");
/// assert!("int8".parse::<DType>().is_err());
/// # Ok::<(), llem_compute::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// IEEE 754 binary32: 8 exponent bits, 23 fraction bits.
    F32,
    /// bfloat16: 8 exponent bits, 7 fraction bits.
    Bf16,
    /// IEEE 754 binary16: 5 exponent bits, 10 fraction bits.
    F16,
}

impl DType {
    /// Returns the size of one number, in bytes.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    /// Returns the name of this format's type in the kernels' source (`kernels/real.h`).
    pub fn kernel_type(self) -> &'static str {
        match self {
            Self::F32 => "float",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }
}

impl FromStr for DType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name.trim_start_matches("torch.") {
            "f32" | "float32" | "float" => Ok(Self::F32),
            "bf16" | "bfloat16" => Ok(Self::Bf16),
            "f16" | "float16" | "half" => Ok(Self::F16),
            other => Err(Error::Invalid(format!(
                "unknown number format '{other}': use f32, bf16 or f16"
            ))),
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        })
    }
}
