//! The backend that a rank computes with: the CPU or a device.

use super::Gpu;
use crate::Result;
use std::sync::Arc;

/// The backend that a rank computes with.
#[derive(Clone)]
pub(crate) enum Backend {
    /// The CPU, with the kernels of [`crate::cpu`].
    Cpu,
    /// A GPU, or an emulated one.
    Gpu(Arc<Gpu>),
}

impl Backend {
    /// Returns true for the CPU.
    pub(crate) fn is_cpu(&self) -> bool {
        matches!(self, Self::Cpu)
    }

    /// Returns true if weights and caches take the machine's own memory. This is so for the CPU and for an emulated
    /// device.
    pub(crate) fn is_in_system_memory(&self) -> bool {
        self.gpu().is_none_or(|gpu| !gpu.device.is_real())
    }

    /// Returns the device, or `None` for the CPU.
    pub(crate) fn gpu(&self) -> Option<&Arc<Gpu>> {
        match self {
            Self::Cpu => None,
            Self::Gpu(gpu) => Some(gpu),
        }
    }

    /// Waits until the device has finished its queued work.
    pub(crate) fn synchronize(&self) -> Result<()> {
        Ok(self.gpu().map_or(Ok(()), |gpu| gpu.device.synchronize())?)
    }
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.gpu().map_or("cpu", |gpu| gpu.device.name()))
    }
}
