//! Number formats and devices by the names that people give them.

use crate::{Error, Result};
use std::{fmt, str::FromStr};

/// The number format of weights and activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DType {
    /// IEEE 754 binary32.
    F32,
    /// bfloat16.
    Bf16,
    /// IEEE 754 binary16.
    F16,
}

impl DType {
    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 | Self::F16 => 2,
        }
    }

    pub(crate) fn candle(self) -> candle_core::DType {
        match self {
            Self::F32 => candle_core::DType::F32,
            Self::Bf16 => candle_core::DType::BF16,
            Self::F16 => candle_core::DType::F16,
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

/// Where the model lives: `cpu` or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The host's processor.
    #[default]
    Cpu,
    /// A GPU, by its CUDA ordinal.
    Cuda(usize),
}

impl Device {
    /// GPUs of this machine that this program can use.
    pub(crate) fn cuda_count() -> usize {
        #[cfg(feature = "cuda")]
        let count = candle_core::cuda_backend::cudarc::driver::CudaContext::device_count()
            .map_or(0, |count| count.max(0) as usize);
        #[cfg(not(feature = "cuda"))]
        let count = 0;
        count
    }

    pub(crate) fn open(self) -> Result<candle_core::Device> {
        match self {
            Self::Cpu => Ok(candle_core::Device::Cpu),
            Self::Cuda(_) if !cfg!(feature = "cuda") => Err(Error::Unsupported(format!(
                "device {self} needs a build with CUDA: cargo build --release --features cuda"
            ))),
            Self::Cuda(ordinal) => candle_core::Device::new_cuda(ordinal)
                .map_err(|error| Error::NotFound(format!("cannot open device {self}: {error}"))),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        // No machine has as many as 16 bits count.
        let ordinal = |digits: &str| digits.parse::<u16>().ok().map(usize::from);
        match name {
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda(0)),
            _ => name.strip_prefix("cuda:").and_then(ordinal).map(Self::Cuda),
        }
        .ok_or_else(|| Error::Invalid(format!("unknown device '{name}': use cpu or cuda:N")))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}
