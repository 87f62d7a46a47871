//! Devices by the names that people give them, and number formats as candle calls them.

use crate::{
    Error, Result,
    gpu::{Gpu, Place},
};
use llem_checkpoint::Format;
use std::{fmt, str::FromStr, sync::Arc};

pub use llem_compute::DType;

/// What a number format of a checkpoint is here.
pub(crate) fn of_format(format: Format) -> DType {
    match format {
        Format::F32 => DType::F32,
        Format::Bf16 => DType::Bf16,
        Format::F16 => DType::F16,
    }
}

/// What candle calls a number format.
pub(crate) fn candle(dtype: DType) -> candle_core::DType {
    match dtype {
        DType::F32 => candle_core::DType::F32,
        DType::Bf16 => candle_core::DType::BF16,
        DType::F16 => candle_core::DType::F16,
    }
}

/// Where the model lives: `cpu`, `cuda:N` or `emulated`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The host's processor.
    #[default]
    Cpu,
    /// A GPU, by its CUDA ordinal.
    Cuda(usize),
    /// What GPUs run, on the host's processor: to try a method for them, and to test their code, where there is none.
    Emulated,
}

impl Device {
    /// GPUs of this machine that this program can use.
    pub(crate) fn cuda_count() -> usize {
        llem_compute::cuda::count()
    }

    /// The device whose meters tell what its work takes.
    pub fn measured(self) -> Self {
        match self {
            Self::Emulated => Self::Cpu,
            other => other,
        }
    }

    /// Opens it for a model's number formats and width of heads.
    pub(crate) fn open(self, dtype: DType, kv_dtype: DType, head_dim: usize) -> Result<Place> {
        let device = match self {
            Self::Cpu => return Ok(Place::Host),
            Self::Cuda(ordinal) => llem_compute::cuda::open(ordinal)?,
            Self::Emulated => llem_compute::emulated::open()?,
        };
        Ok(Place::Gpu(Arc::new(Gpu::new(device, dtype, kv_dtype, head_dim)?)))
    }
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        // No machine has as many as 16 bits count.
        let ordinal = |digits: &str| digits.parse::<u16>().ok().map(usize::from);
        match name {
            "cpu" => Some(Self::Cpu),
            "emulated" => Some(Self::Emulated),
            "cuda" => Some(Self::Cuda(0)),
            _ => name.strip_prefix("cuda:").and_then(ordinal).map(Self::Cuda),
        }
        .ok_or_else(|| {
            Error::Invalid(format!("unknown device '{name}': use cpu, cuda:N or emulated"))
        })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Emulated => f.write_str("emulated"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}
