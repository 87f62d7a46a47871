//! Devices by the names that people give them on the command line and in scripts.

use crate::{
    DType, Error, Result,
    gpu::{Backend, Gpu},
};
use std::{fmt, str::FromStr, sync::Arc};

/// Names the device that a model runs on: `cpu`, `cuda:N` or `emulated`.
///
/// ```
/// use llem_engine::DeviceId;
///
/// assert_eq!("cuda:1".parse::<DeviceId>()?, DeviceId::Cuda(1));
/// assert_eq!("cuda".parse::<DeviceId>()?.to_string(), "cuda:0");
/// // The emulator's work is done by the CPU, so the CPU's meters measure it.
/// assert_eq!(DeviceId::Emulated.measured(), DeviceId::Cpu);
/// assert!("gpu".parse::<DeviceId>().is_err());
/// # Ok::<(), llem_engine::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceId {
    /// The host's processor.
    #[default]
    Cpu,
    /// A GPU, by its CUDA ordinal.
    Cuda(usize),
    /// An emulated GPU: the GPU kernels run on the host's processor. It serves to try a GPU method, and to test GPU
    /// code, on a machine without a GPU.
    Emulated,
}

impl DeviceId {
    /// Counts the GPUs of this machine that this program can use.
    pub(crate) fn cuda_count() -> usize {
        llem_compute::cuda::count()
    }

    /// Returns the device whose meters measure the work of this device.
    pub fn measured(self) -> Self {
        match self {
            Self::Emulated => Self::Cpu,
            other => other,
        }
    }

    /// Opens the device for a model with these number formats of weights and KV cache, and heads of `head_dim` numbers.
    pub(crate) fn open(self, dtype: DType, kv_dtype: DType, head_dim: usize) -> Result<Backend> {
        let device = match self {
            Self::Cpu => return Ok(Backend::Cpu),
            Self::Cuda(ordinal) => llem_compute::cuda::open(ordinal)?,
            Self::Emulated => llem_compute::emulated::open()?,
        };
        Ok(Backend::Gpu(Arc::new(Gpu::new(device, dtype, kv_dtype, head_dim)?)))
    }
}

impl FromStr for DeviceId {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        // An ordinal of 16 bits is enough: no machine has that many GPUs.
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

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Emulated => f.write_str("emulated"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}
