//! The devices of the machine: their properties and their current state.

use crate::{
    Result,
    bindings::devices,
    open_enum::open_enum,
    quantity::{Reading, Source, reading_from},
};

open_enum! {
    /// A number format of weights, activations or cached keys and values.
    Dtype {
        /// IEEE 754 binary32.
        F32 = "f32",
        /// bfloat16.
        Bf16 = "bf16",
        /// IEEE 754 binary16.
        F16 = "f16",
    }
}

/// A device's peak rate of dense matrix products in one number format.
#[derive(Clone, Debug)]
pub struct Peak {
    /// The number format.
    pub dtype: Dtype,
    /// The peak rate in FLOP/s. A multiply-add counts as two operations, and sparsity is not used.
    pub rate: Reading,
}

/// The peak rates of a device.
#[derive(Clone, Debug)]
pub struct Peaks {
    /// The origin of the rates: a datasheet, or what was measured and when.
    pub origin: String,
    /// The peak rate of matrix products in each number format.
    pub products: Vec<Peak>,
    /// Memory bandwidth, in By/s.
    pub bandwidth: Reading,
}

/// One device of this machine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Device {
    /// The device's id in load options and measurements: `cpu`, `cuda:0`.
    pub id: String,
    /// The kind of hardware: `cpu` (the processor and its memory), `cuda` (an NVIDIA GPU).
    pub kind: String,
    /// The vendor's name for the device.
    pub name: String,
    /// A unique identifier. `None` if the device has none.
    pub uuid: Option<String>,
    /// The size of the device's memory, in bytes. `None` if it cannot be read.
    pub memory_bytes: Option<u64>,
    /// The CUDA compute capability: major and minor version.
    pub compute_capability: Option<(u32, u32)>,
    /// The peaks in the vendor's datasheet, or the reason why they are not known.
    pub datasheet_peaks: Result<Peaks, String>,
    /// The peaks that `llem doctor --peaks` last measured on this device, or the reason why there are none.
    pub measured_peaks: Result<Peaks, String>,
    /// The source of the device's energy, or the reason why its energy is not measured and what to run to change that.
    pub energy_source: Result<Source, String>,
    /// Remarks that a reader of the device's numbers must know, such as that MIG is on.
    pub notes: Vec<String>,
}

/// The state of a device at one moment. A value that the device does not report is `Err` with the reason.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeviceState {
    /// When the state was read, in ns since the run began.
    pub at: u64,
    /// Power draw, in W.
    pub power: Reading,
    /// Temperature, in Cel.
    pub temperature: Reading,
    /// Clock of the cores (SM clock on a GPU), in MHz.
    pub core_clock: Reading,
    /// Clock of the memory, in MHz.
    pub memory_clock: Reading,
    /// The share of its last sampling period in which the device was busy, from 0 to 100 %.
    pub utilisation: Reading,
    /// Memory in use by all processes on the device, in By.
    pub memory_used: Reading,
    /// The rate of bytes sent and received over PCIe in the last 40 ms, in By/s.
    pub pcie: Reading,
    /// The reasons why the clocks are throttled now, in NVML's words. Empty if they are not throttled.
    pub throttle_reasons: Vec<String>,
}

/// Returns every device of this machine, the CPU first.
pub fn list_devices() -> Vec<Device> {
    devices::list_devices().iter().map(Device::from).collect()
}

/// Returns the device of this id. Fails with `not-found` if there is none.
pub fn find_device(id: &str) -> Result<Device> {
    Ok(Device::from(&devices::find_device(id)?))
}

/// Reads the current state of a device, which takes 40 ms on a GPU. Fails with `not-found` if no device has this id,
/// and with `failed` if the device has been lost.
pub fn read_state(id: &str) -> Result<DeviceState> {
    Ok(DeviceState::from(&devices::find_device(id)?.read()?))
}

impl From<&devices::Device> for Device {
    fn from(device: &devices::Device) -> Self {
        Self {
            id: device.id(),
            kind: device.kind(),
            name: device.name(),
            uuid: device.uuid(),
            memory_bytes: device.memory_bytes(),
            compute_capability: device.compute_capability(),
            datasheet_peaks: device.datasheet_peaks().map(Peaks::from),
            measured_peaks: device.measured_peaks().map(Peaks::from),
            energy_source: device.energy_source().map(Source::from),
            notes: device.notes(),
        }
    }
}

impl From<devices::Peaks> for Peaks {
    fn from(peaks: devices::Peaks) -> Self {
        let devices::Peaks { origin, products, bandwidth } = peaks;
        let products = products
            .into_iter()
            .map(|peak| Peak { dtype: peak.dtype.into(), rate: reading_from(peak.rate) })
            .collect();
        Self { origin, products, bandwidth: reading_from(bandwidth) }
    }
}

impl From<&devices::State> for DeviceState {
    fn from(state: &devices::State) -> Self {
        Self {
            at: state.at(),
            power: reading_from(state.power()),
            temperature: reading_from(state.temperature()),
            core_clock: reading_from(state.core_clock()),
            memory_clock: reading_from(state.memory_clock()),
            utilisation: reading_from(state.utilisation()),
            memory_used: reading_from(state.memory_used()),
            pcie: reading_from(state.pcie()),
            throttle_reasons: state.throttle_reasons(),
        }
    }
}
