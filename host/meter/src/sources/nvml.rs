//! NVIDIA GPUs through NVML: the total-energy counter, or the power field integrated over time on
//! cards before Volta, which have no counter.

use super::{Counter, Counters, Reading};
use crate::device::{Device, DeviceKind, State};
use llem_quantity::{Quantity, Source};
use nvml_wrapper::{
    Nvml,
    enum_wrappers::device::{Clock, TemperatureSensor},
    error::NvmlError,
};
use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Zeus' documentation: the energy counter updates about every 100 ms (about 10 ms was seen on one
/// card). The larger is assumed until the card's own period has been observed.
const COUNTER_PERIOD: Duration = Duration::from_millis(100);

/// How often the power field is read where it must be integrated: about its own update rate
/// (arXiv 2312.02741 finds 20 to 100 ms).
const POWER_PERIOD: Duration = Duration::from_millis(20);

/// The GPUs that CUDA shows to this process, in CUDA's order.
pub struct Gpus {
    nvml: Arc<Nvml>,
    /// NVML's index of each.
    indices: Vec<u32>,
}

impl Gpus {
    /// Loads NVML, or says why it cannot.
    pub fn open() -> Result<Self, String> {
        let nvml = Nvml::init().map_err(|error| match error {
            NvmlError::LibloadingError(_) => {
                "no NVIDIA driver: libnvidia-ml.so.1 is not on this machine".to_owned()
            }
            error => format!("NVML does not start: {error}"),
        })?;
        let count =
            nvml.device_count().map_err(|error| format!("NVML counts no devices: {error}"))?;
        let visible = env::var("CUDA_VISIBLE_DEVICES").ok();
        let uuid = |index: u32| {
            nvml.device_by_index(index).and_then(|device| device.uuid()).unwrap_or_default()
        };
        let indices = match visible {
            None => (0..count).collect(),
            Some(list) => visible_indices(&list, count, uuid),
        };
        Ok(Self { nvml: Arc::new(nvml), indices })
    }

    /// One entry a GPU.
    pub fn devices(&self) -> Vec<Device> {
        (0..self.indices.len()).filter_map(|ordinal| self.describe(ordinal).ok()).collect()
    }

    fn describe(&self, ordinal: usize) -> Result<Device, NvmlError> {
        let device = self.nvml.device_by_index(self.indices[ordinal])?;
        let capability = device.cuda_compute_capability().ok();
        Ok(Device {
            id: format!("cuda:{ordinal}"),
            kind: DeviceKind::Cuda,
            name: device.name()?,
            memory_bytes: device.memory_info().ok().map(|memory| memory.total),
            compute_capability: capability.map(|c| (c.major as u32, c.minor as u32)),
            energy_source: if device.total_energy_consumption().is_ok() {
                Ok(Source::NvmlCounter)
            } else {
                device.power_usage().map(|_| Source::NvmlPower).map_err(|error| denied(&error))
            },
        })
    }

    /// One counter a GPU.
    pub fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        for (ordinal, &index) in self.indices.iter().enumerate() {
            let id = format!("cuda:{ordinal}");
            let has = |works: fn(&nvml_wrapper::Device<'_>) -> Result<(), NvmlError>| {
                self.nvml.device_by_index(index).and_then(|device| works(&device))
            };
            let total = Total { nvml: Arc::clone(&self.nvml), index, id: id.clone() };
            if has(|device| device.total_energy_consumption().map(|_| ())).is_ok() {
                counters.available.push(Box::new(total));
                continue;
            }
            match has(|device| device.power_usage().map(|_| ())) {
                Ok(()) => {
                    counters.available.push(Box::new(Integrated::start(&self.nvml, index, id)))
                }
                Err(error) => counters.unavailable.push((id, denied(&error))),
            }
        }
        counters
    }

    /// A GPU now; none where there is no such GPU.
    pub fn state(&self, ordinal: usize) -> Option<State> {
        let device = self.nvml.device_by_index(*self.indices.get(ordinal)?).ok()?;
        let sensor = |value: Result<f64, NvmlError>, unit: &str| {
            value
                .map(|value| Quantity::exact(value, unit, Source::Sensor))
                .map_err(|error| format!("NVML: {error}"))
        };
        let reasons = device
            .current_throttle_reasons()
            .map(|reasons| reasons.iter_names().map(|(name, _)| name.to_lowercase()).collect());
        Some(State {
            power: sensor(device.power_usage().map(|milliwatts| f64::from(milliwatts) / 1e3), "W"),
            temperature: sensor(device.temperature(TemperatureSensor::Gpu).map(f64::from), "Cel"),
            core_clock: sensor(device.clock_info(Clock::SM).map(f64::from), "MHz"),
            memory_clock: sensor(device.clock_info(Clock::Memory).map(f64::from), "MHz"),
            utilisation: sensor(device.utilization_rates().map(|rates| f64::from(rates.gpu)), "%"),
            memory_used: sensor(device.memory_info().map(|memory| memory.used as f64), "By"),
            throttle_reasons: reasons.unwrap_or_default(),
        })
    }
}

/// `CUDA_VISIBLE_DEVICES` holds indices or UUIDs (or their beginnings); the first bad one ends the
/// list (CUDA C++ Programming Guide, environment variables).
fn visible_indices(list: &str, count: u32, uuid: impl Fn(u32) -> String) -> Vec<u32> {
    list.split(',')
        .map(str::trim)
        .map_while(|item| match item.parse::<u32>() {
            Ok(index) => (index < count).then_some(index),
            Err(_) if item.is_empty() => None,
            Err(_) => (0..count).find(|&index| uuid(index).starts_with(item)),
        })
        .collect()
}

fn denied(error: &NvmlError) -> String {
    match error {
        NvmlError::NoPermission => {
            "NVML denies its energy readings to this user: run as root, or ask the \
             administrator for access to /dev/nvidiactl"
                .to_owned()
        }
        error => format!("NVML gives neither energy nor power: {error}"),
    }
}

/// The driver's own counter, millijoules since it was loaded.
struct Total {
    nvml: Arc<Nvml>,
    index: u32,
    id: String,
}

impl Counter for Total {
    fn device(&self) -> &str {
        &self.id
    }

    fn domain(&self) -> &str {
        "gpu"
    }

    fn source(&self) -> Source {
        Source::NvmlCounter
    }

    fn update_period(&self) -> Duration {
        COUNTER_PERIOD
    }

    fn read(&self) -> Result<Reading, String> {
        self.nvml
            .device_by_index(self.index)
            .and_then(|device| device.total_energy_consumption())
            .map(Reading)
            .map_err(|error| format!("NVML stopped giving the energy of {}: {error}", self.id))
    }

    fn joules(&self, from: Reading, to: Reading) -> f64 {
        to.0.saturating_sub(from.0) as f64 * 1e-3
    }
}

/// The power field, integrated by a thread of its own: microjoules since it was started.
struct Integrated {
    id: String,
    microjoules: Arc<AtomicU64>,
    failed: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

impl Integrated {
    fn start(nvml: &Arc<Nvml>, index: u32, id: String) -> Self {
        let counter =
            Self { id, microjoules: Arc::default(), failed: Arc::default(), ended: Arc::default() };
        let (nvml, total) = (Arc::clone(nvml), Arc::clone(&counter.microjoules));
        let (failed, ended) = (Arc::clone(&counter.failed), Arc::clone(&counter.ended));
        thread::spawn(move || {
            let mut before: Option<(Instant, u32)> = None;
            let mut energy = 0.0;
            while !ended.load(Ordering::Relaxed) {
                let power = nvml.device_by_index(index).and_then(|device| device.power_usage());
                let now = Instant::now();
                match (power, before) {
                    (Ok(milliwatts), Some((then, last))) => {
                        // Trapezoid: mW x s x 1000 = uJ.
                        let mean = f64::from(milliwatts + last) / 2.0;
                        energy += mean * now.duration_since(then).as_secs_f64() * 1e3;
                        total.store(energy as u64, Ordering::Relaxed);
                        before = Some((now, milliwatts));
                    }
                    (Ok(milliwatts), None) => before = Some((now, milliwatts)),
                    (Err(_), _) => {
                        failed.store(true, Ordering::Relaxed);
                        return;
                    }
                }
                thread::sleep(POWER_PERIOD);
            }
        });
        counter
    }
}

impl Drop for Integrated {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

impl Counter for Integrated {
    fn device(&self) -> &str {
        &self.id
    }

    fn domain(&self) -> &str {
        "gpu"
    }

    fn source(&self) -> Source {
        Source::NvmlPower
    }

    fn update_period(&self) -> Duration {
        COUNTER_PERIOD
    }

    fn read(&self) -> Result<Reading, String> {
        if self.failed.load(Ordering::Relaxed) {
            return Err(format!("NVML stopped giving the power of {}", self.id));
        }
        Ok(Reading(self.microjoules.load(Ordering::Relaxed)))
    }

    fn joules(&self, from: Reading, to: Reading) -> f64 {
        to.0.saturating_sub(from.0) as f64 * 1e-6
    }
}

#[cfg(test)]
mod tests {
    use super::visible_indices;

    #[test]
    fn cuda_visible_devices_is_read_as_cuda_does() {
        let uuid = |index: u32| ["GPU-aa", "GPU-bb", "GPU-bc"][index as usize].to_owned();
        assert_eq!(visible_indices("2,0", 3, uuid), [2, 0]);
        assert_eq!(visible_indices("1,-1,0", 3, uuid), [1]);
        assert_eq!(visible_indices("GPU-bc", 3, uuid), [2]);
        assert!(visible_indices("", 3, uuid).is_empty());
    }
}
