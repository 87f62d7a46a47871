//! The devices of this machine, and their state at one moment.

use llem_quantity::{Cause, Quantity, Reading, Source, Unavailable};
use std::collections::BTreeMap;

/// The kind of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// The host's processor and its memory.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
}

/// A device, as it was when the meter first looked.
#[derive(Clone, Debug)]
pub struct Device {
    /// `cpu`, `cuda:0`, or the UUID of a GPU that only another rank's process sees.
    pub id: String,
    /// The kind of the device.
    pub kind: DeviceKind,
    /// The vendor's name for this kind of device.
    pub name: String,
    /// The UUID of the GPU, or of a MIG instance of one. `None` for a processor.
    pub uuid: Option<String>,
    /// Size of the device's memory, bytes.
    pub memory_bytes: Option<u64>,
    /// CUDA compute capability, major then minor.
    pub compute_capability: Option<(u32, u32)>,
    /// What measures the device's energy, or why nothing does and what to do about it.
    pub energy_source: Result<Source, Unavailable>,
    /// What a reader of the device's numbers must know.
    pub notes: Vec<String>,
    /// Settings by name, with units: driver, power limit, clock policy.
    pub settings: BTreeMap<String, String>,
}

impl Device {
    /// Returns a key for files that outlive a run. It differs from the key of every other device, on other machines, too.
    pub fn key(&self) -> String {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        self.uuid.clone().unwrap_or_else(|| format!("{}/{}", host().trim(), self.name))
    }
}

/// The state of a device at one moment. A field that the device does not report holds the reason.
#[derive(Clone, Debug)]
pub struct DeviceState {
    /// Power, W.
    pub power: Reading,
    /// Temperature, Cel.
    pub temperature: Reading,
    /// Clock of the cores, MHz.
    pub core_clock: Reading,
    /// Clock of the memory, MHz.
    pub memory_clock: Reading,
    /// Share of the device's last sampling period in which it was busy, %.
    pub utilisation: Reading,
    /// Memory in use, By.
    pub memory_used: Reading,
    /// Bytes sent and received over PCIe in the last 20 ms, By/s.
    pub pcie: Reading,
    /// Why the clocks are held down, in NVML's words.
    pub throttle_reasons: Vec<String>,
}

/// Makes a reading of a number from the kernel. `what` names it in the reason for its absence.
pub(crate) fn sensor(value: Option<f64>, unit: &str, what: &str) -> Reading {
    let missing =
        || Unavailable::new(Cause::NotSupported, format!("the kernel does not tell {what}"));
    value.map(|value| Quantity::exact(value, unit, Source::Sensor)).ok_or_else(missing)
}
