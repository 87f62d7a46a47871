//! What devices there are, and how they are now.

use llem_quantity::{Quantity, Reading, Source};
use std::fs;

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
    /// `cpu`, `cuda:0`.
    pub id: String,
    /// What kind of hardware it is.
    pub kind: DeviceKind,
    /// The vendor's name for it.
    pub name: String,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// CUDA compute capability, major then minor.
    pub compute_capability: Option<(u32, u32)>,
    /// What measures its energy, or why nothing does and what to run to change that.
    pub energy_source: Result<Source, String>,
}

/// A device at one moment; each field that it cannot tell holds the reason.
#[derive(Clone, Debug)]
pub struct State {
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
    /// Why the clocks are held down, in NVML's words.
    pub throttle_reasons: Vec<String>,
}

/// The host's processor, from `/proc`. Its energy source is the caller's to know.
pub fn cpu(energy_source: Result<Source, String>) -> Device {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = field(&info, "model name").unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(1, |count| count.get());
    Device {
        id: "cpu".to_owned(),
        kind: DeviceKind::Cpu,
        name: format!("{model}, {cores} threads"),
        memory_bytes: memory("MemTotal"),
        compute_capability: None,
        energy_source,
    }
}

/// The host's processor now.
pub fn cpu_state() -> State {
    let sensor = |value: Option<f64>, unit: &str, what: &str| {
        value
            .map(|value| Quantity::exact(value, unit, Source::Sensor))
            .ok_or_else(|| format!("the kernel does not tell {what}"))
    };
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let clocks: Vec<f64> = info
        .lines()
        .filter(|line| line.starts_with("cpu MHz"))
        .filter_map(|line| line.split(':').nth(1)?.trim().parse().ok())
        .collect();
    let mean_clock = (!clocks.is_empty()).then(|| clocks.iter().sum::<f64>() / clocks.len() as f64);
    let used =
        memory("MemTotal").zip(memory("MemAvailable")).map(|(all, free)| (all - free) as f64);
    let not_instant =
        || Err("a processor's power is told by its energy counter only: use a window".to_owned());
    State {
        power: not_instant(),
        temperature: sensor(cpu_temperature(), "Cel", "the processor's temperature"),
        core_clock: sensor(mean_clock, "MHz", "the processor's clock"),
        memory_clock: Err("the kernel does not tell the memory's clock".to_owned()),
        utilisation: Err(
            "a processor's utilisation is a difference of two readings: use a window".to_owned()
        ),
        memory_used: sensor(used, "By", "how much memory is in use"),
        throttle_reasons: Vec::new(),
    }
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split(':').nth(1)?.trim())
}

fn memory(name: &str) -> Option<u64> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let kibibytes: u64 = field(&info, name)?.trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes * 1024)
}

/// The first package sensor of the drivers coretemp (Intel) or k10temp (AMD), in degrees Celsius.
fn cpu_temperature() -> Option<f64> {
    for entry in fs::read_dir("/sys/class/hwmon").ok()?.flatten() {
        let name = fs::read_to_string(entry.path().join("name")).unwrap_or_default();
        if matches!(name.trim(), "coretemp" | "k10temp") {
            let millidegrees: f64 =
                fs::read_to_string(entry.path().join("temp1_input")).ok()?.trim().parse().ok()?;
            return Some(millidegrees / 1000.0);
        }
    }
    None
}
