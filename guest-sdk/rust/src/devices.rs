//! The hardware, as it is and as it is now.

use crate::{
    Result,
    bindings::devices,
    quantity::{Reading, Source, read},
    words::words,
};

words! {
    /// A number format.
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
    /// FLOP/s, a multiply-add counted as two, without sparsity.
    pub rate: Reading,
}

/// What a device can do at most.
#[derive(Clone, Debug)]
pub struct Peaks {
    /// Where it is from: a datasheet, or what was measured and when.
    pub origin: String,
    /// One a number format.
    pub products: Vec<Peak>,
    /// Memory bandwidth, By/s.
    pub bandwidth: Reading,
}

/// One device of this machine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Device {
    /// How load options and every measurement name it: `cpu`, `cuda:0`.
    pub id: String,
    /// What kind of hardware it is: `cpu`, `cuda`.
    pub kind: String,
    /// The vendor's name for it.
    pub name: String,
    /// What tells it from others of its name; none where nothing does.
    pub uuid: Option<String>,
    /// Memory in bytes; none where it cannot be read.
    pub memory_bytes: Option<u64>,
    /// CUDA compute capability, major then minor.
    pub compute_capability: Option<(u32, u32)>,
    /// What its datasheet promises, or why that is not known.
    pub peaks: Result<Peaks, String>,
    /// What `llem doctor --peaks` last measured on it, or that it has not.
    pub measured_peaks: Result<Peaks, String>,
    /// What measures its energy, or why nothing does and what to run to change that.
    pub energy_source: Result<Source, String>,
    /// What a reader of its numbers must know.
    pub notes: Vec<String>,
}

/// A device at one moment. What it cannot tell is the reason why not.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeviceState {
    /// When it was read, ns since the run began.
    pub at: u64,
    /// Power draw, W.
    pub power: Reading,
    /// Temperature, Cel.
    pub temperature: Reading,
    /// Clock of the cores (SM clock on a GPU), MHz.
    pub core_clock: Reading,
    /// Clock of the memory, MHz.
    pub memory_clock: Reading,
    /// Share of time that the device was busy in its last sampling period, 0 to 100 %.
    pub utilisation: Reading,
    /// Memory in use by everything on the device, By.
    pub memory_used: Reading,
    /// Bytes sent and received over PCIe in the last 40 ms, By/s.
    pub pcie: Reading,
    /// Why the clocks are held down now, in NVML's words; empty when they are not.
    pub throttle_reasons: Vec<String>,
}

/// Every device of this machine, the CPU first.
pub fn list_devices() -> Vec<Device> {
    devices::list_devices().iter().map(Device::from).collect()
}

/// The device of that id. Fails with `not-found` when there is none.
pub fn find_device(id: &str) -> Result<Device> {
    Ok(Device::from(&devices::find_device(id)?))
}

/// A device as it is now, which takes a GPU 40 ms. Fails with `not-found` where there is none of that id, and with
/// `failed` where it is gone.
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
            peaks: device.datasheet_peaks().map(Peaks::from),
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
            .map(|peak| Peak { dtype: peak.dtype.into(), rate: read(peak.rate) })
            .collect();
        Self { origin, products, bandwidth: read(bandwidth) }
    }
}

impl From<&devices::State> for DeviceState {
    fn from(state: &devices::State) -> Self {
        Self {
            at: state.at(),
            power: read(state.power()),
            temperature: read(state.temperature()),
            core_clock: read(state.core_clock()),
            memory_clock: read(state.memory_clock()),
            utilisation: read(state.utilisation()),
            memory_used: read(state.memory_used()),
            pcie: read(state.pcie()),
            throttle_reasons: state.throttle_reasons(),
        }
    }
}
