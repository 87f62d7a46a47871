//! What devices there are, and how they are now.

use llem_quantity::{Quantity, Reading, Source};
use std::collections::BTreeMap;

/// What kind of hardware a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// The host's processor and its memory.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
}

/// One device.
#[derive(Clone, Debug)]
pub struct Device {
    /// `cpu`, `cuda:0`, or the UUID of a GPU that only another rank's process sees.
    pub id: String,
    /// What kind of hardware it is.
    pub kind: DeviceKind,
    /// The vendor's name for it.
    pub name: String,
    /// What tells it from others of its name, where anything does: the UUID of a GPU, or of the MIG instance of one.
    pub uuid: Option<String>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// CUDA compute capability, major then minor.
    pub compute_capability: Option<(u32, u32)>,
    /// What measures its energy, or why nothing does and what to run to change that.
    pub energy_source: Result<Source, String>,
    /// What a reader of its numbers must know.
    pub notes: Vec<String>,
    /// What it was set to when the meter first looked, by name, with units: driver, power limit, clock policy.
    pub settings: BTreeMap<String, String>,
}

impl Device {
    /// What tells it from every other device in files that outlive a run.
    pub fn key(&self) -> String {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        self.uuid.clone().unwrap_or_else(|| format!("{}/{}", host().trim(), self.name))
    }
}

/// A device at one moment; each field that it cannot tell holds the reason.
#[derive(Clone, Debug)]
pub struct DeviceState {
    /// Power draw, W.
    pub power: Reading,
    /// Temperature, Cel.
    pub temperature: Reading,
    /// Clock of the cores, MHz.
    pub core_clock: Reading,
    /// Clock of the memory, MHz.
    pub memory_clock: Reading,
    /// Busy share of the last sampling period, %.
    pub utilisation: Reading,
    /// Memory in use, By.
    pub memory_used: Reading,
    /// Bytes sent and received over PCIe in the last 20 ms, By/s.
    pub pcie: Reading,
    /// Why the clocks are held down, in NVML's words.
    pub throttle_reasons: Vec<String>,
}

/// A number that the kernel tells, or that it does not.
pub(crate) fn sensor(value: Option<f64>, unit: &str, what: &str) -> Reading {
    value
        .map(|value| Quantity::exact(value, unit, Source::Sensor))
        .ok_or_else(|| format!("the kernel does not tell {what}"))
}
