//! The state and the condition of a GPU now.

use super::{cause, energy::instant_power, nvml_gpu::NvmlGpu};
use crate::{device::DeviceState, history::Condition, memory::NoProcessMemory};
use llem_quantity::{Quantity, Source, Unavailable};
use nvml_wrapper::{
    Device,
    bitmasks::device::ThrottleReasons,
    enum_wrappers::device::{Clock, PcieUtilCounter, TemperatureSensor},
    enums::device::UsedGpuMemory,
    error::NvmlError,
};
use std::process;

impl NvmlGpu {
    /// Reads everything that NVML reports of the card. This takes 40 ms, because NVML watches the PCIe traffic for 20 ms in
    /// each direction.
    pub(super) fn state(&self) -> DeviceState {
        let device = self.device();
        let sensor = |value: Result<f64, NvmlError>, unit: &str| {
            value
                .map(|value| Quantity::exact(value, unit, Source::Sensor))
                .map_err(|error| Unavailable::new(cause(&error), format!("NVML: {error}")))
        };
        let plain_power = || device.power_usage().map(|milliwatts| f64::from(milliwatts) / 1e3);
        // NVML counts KB/s.
        let pcie = device.pcie_throughput(PcieUtilCounter::Send).and_then(|sent| {
            Ok(f64::from(sent + device.pcie_throughput(PcieUtilCounter::Receive)?) * 1e3)
        });
        DeviceState {
            power: sensor(instant_power(&device).or_else(|_| plain_power()), "W"),
            temperature: sensor(device.temperature(TemperatureSensor::Gpu).map(f64::from), "Cel"),
            core_clock: sensor(device.clock_info(Clock::SM).map(f64::from), "MHz"),
            memory_clock: sensor(device.clock_info(Clock::Memory).map(f64::from), "MHz"),
            utilisation: sensor(device.utilization_rates().map(|rates| f64::from(rates.gpu)), "%"),
            memory_used: sensor(device.memory_info().map(|memory| memory.used as f64), "By"),
            pcie: sensor(pcie, "By/s"),
            throttle_reasons: device.current_throttle_reasons().map(names).unwrap_or_default(),
        }
    }

    /// Reads what the sampler needs, which is cheap. A field that NVML does not report is `None`.
    pub(super) fn condition(&self) -> Condition {
        let device = self.device();
        let reasons =
            device.current_throttle_reasons().map(|reasons| names(reasons & HOLDING_BACK));
        Condition {
            temperature: device.temperature(TemperatureSensor::Gpu).ok().map(f64::from),
            core_clock: device.clock_info(Clock::SM).ok().map(f64::from),
            memory_clock: device.clock_info(Clock::Memory).ok().map(f64::from),
            utilisation: device.utilization_rates().ok().map(|rates| f64::from(rates.gpu)),
            memory_used: device.memory_info().ok().map(|memory| memory.used as f64),
            process_memory: Some(process_memory(&device)),
            throttle_reasons: reasons.unwrap_or_default(),
        }
    }
}

/// Reads the memory that this process uses on a card, bytes. If MIG is on, a process is listed once for each instance that
/// it computes on.
fn process_memory(device: &Device<'_>) -> Result<f64, NoProcessMemory> {
    let listed = device
        .running_compute_processes()
        .map_err(|error| NoProcessMemory::Failed(error.to_string()))?;
    let process = process::id();
    let ours = listed.into_iter().filter(|one| one.pid == process);
    let used = ours.map(|one| match one.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Ok(bytes as f64),
        UsedGpuMemory::Unavailable => Err(NoProcessMemory::Withheld),
    });
    let sum = used.reduce(|sum, next| Ok(sum? + next?));
    sum.unwrap_or(Err(NoProcessMemory::NotListed { process }))
}

/// The reasons that hold a working GPU below the clock it was set to. Idling and limits that a person set are not among them.
const HOLDING_BACK: ThrottleReasons = ThrottleReasons::SW_POWER_CAP
    .union(ThrottleReasons::HW_SLOWDOWN)
    .union(ThrottleReasons::SW_THERMAL_SLOWDOWN)
    .union(ThrottleReasons::HW_THERMAL_SLOWDOWN)
    .union(ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN);

fn names(reasons: ThrottleReasons) -> Vec<String> {
    reasons.iter_names().map(|(name, _)| name.to_lowercase()).collect()
}
