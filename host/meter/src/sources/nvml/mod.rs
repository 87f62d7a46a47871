//! NVIDIA GPUs through NVML.

mod power;
mod state;

use super::{Found, Instrument, Metered, Unmetered};
use crate::device::{Device, DeviceKind, State};
use llem_quantity::Source;
use nvml_wrapper::{Nvml, enums::device::DeviceArchitecture, error::NvmlError};
use power::{Power, Total};
use std::{env, sync::Arc};

/// The GPUs that CUDA shows to this process, in CUDA's order.
#[derive(Clone)]
pub struct Gpus {
    gpus: Vec<Gpu>,
}

/// One GPU.
#[derive(Clone)]
struct Gpu {
    nvml: Arc<Nvml>,
    /// NVML's index of it.
    index: u32,
    /// What llem calls it.
    id: String,
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
        let indices: Vec<u32> = match visible {
            None => (0..count).collect(),
            Some(list) => visible_indices(&list, count, uuid),
        };
        let nvml = Arc::new(nvml);
        let gpu = |(ordinal, index)| Gpu {
            nvml: Arc::clone(&nvml),
            index,
            id: format!("cuda:{ordinal}"),
        };
        Ok(Self { gpus: indices.into_iter().enumerate().map(gpu).collect() })
    }

    /// One entry a GPU. Their energy sources are the caller's to know.
    pub fn devices(&self, source: impl Fn(&str) -> Result<Source, String>) -> Vec<Device> {
        self.gpus.iter().filter_map(|gpu| gpu.describe(source(&gpu.id)).ok()).collect()
    }

    /// Their ids.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.gpus.iter().map(|gpu| &gpu.id[..])
    }

    /// What meters each.
    pub fn find(&self) -> Found {
        let mut found = Found::default();
        for gpu in &self.gpus {
            match gpu.instrument() {
                Ok(instrument) => found.metered.push(Metered {
                    device: gpu.id.clone(),
                    domain: "gpu".to_owned(),
                    instrument,
                }),
                Err(reason) => {
                    found.unmetered.push(Unmetered { device: gpu.id.clone(), domain: None, reason })
                }
            }
        }
        found
    }

    /// A GPU now; none where there is no such GPU.
    pub fn state(&self, id: &str) -> Option<State> {
        self.gpus.iter().find(|gpu| gpu.id == id)?.state()
    }

    /// What a sampler reads of a GPU, cheaply.
    pub fn reading(&self, id: &str) -> Option<crate::timeline::Condition> {
        self.gpus.iter().find(|gpu| gpu.id == id).map(Gpu::condition)
    }
}

impl Gpu {
    fn describe(&self, energy_source: Result<Source, String>) -> Result<Device, NvmlError> {
        let device = self.nvml.device_by_index(self.index)?;
        let capability = device.cuda_compute_capability().ok();
        let name = device.name()?;
        Ok(Device {
            id: self.id.clone(),
            kind: DeviceKind::Cuda,
            uuid: device.uuid().ok(),
            memory_bytes: device.memory_info().ok().map(|memory| memory.total),
            compute_capability: capability.map(|c| (c.major as u32, c.minor as u32)),
            energy_source,
            notes: notes(&name, device.mig_mode().is_ok_and(|mode| mode.current == 1)),
            name,
        })
    }

    /// The energy counter, which cards since Volta have, held against the power sensor; or that alone.
    fn instrument(&self) -> Result<Instrument, String> {
        let device = self.nvml.device_by_index(self.index).map_err(|error| denied(&error))?;
        let sensor = Power::find(self, &device);
        match (device.total_energy_consumption(), sensor) {
            (Ok(_), Ok(sensor)) => {
                Ok(Instrument::Both(Box::new(Total(self.clone())), Box::new(sensor)))
            }
            (Ok(_), Err(_)) => Ok(Instrument::Counter(Box::new(Total(self.clone())))),
            (Err(_), Ok(sensor)) => Ok(Instrument::Sensor(Box::new(sensor))),
            (Err(_), Err(error)) => Err(denied(&error)),
        }
    }

    /// Asks NVML something of this GPU.
    fn ask<T>(
        &self,
        ask: impl FnOnce(&nvml_wrapper::Device<'_>) -> Result<T, NvmlError>,
    ) -> Result<T, NvmlError> {
        ask(&self.nvml.device_by_index(self.index)?)
    }

    /// What to say where NVML has stopped answering.
    fn lost(&self, error: &NvmlError) -> String {
        match error {
            NvmlError::GpuLost | NvmlError::NotFound => {
                format!("{} is gone ({error}): see dmesg, and reset or replace it", self.id)
            }
            error => format!("NVML stopped answering for {}: {error}", self.id),
        }
    }
}

/// What a reader of a GPU's numbers must know.
fn notes(name: &str, has_instances: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if has_instances {
        notes.push(
            "MIG is on: energy and clocks are those of the whole GPU, which other instances may share".to_owned(),
        );
    }
    // zeus, pull request 172.
    if name.contains("GH200") {
        notes.push("a GH200's counter covers the whole module, CPU and memory included".to_owned());
    }
    notes
}

/// Whether the plain power field is a mean over the last second (NVML's reference, `nvmlDeviceGetPowerUsage`:
/// on Ampere, except GA100, or newer).
fn averages(device: &nvml_wrapper::Device<'_>) -> bool {
    let is_older = |architecture: DeviceArchitecture| {
        use DeviceArchitecture as A;
        matches!(architecture, A::Kepler | A::Maxwell | A::Pascal | A::Volta | A::Turing)
    };
    let is_ga100 = device.name().is_ok_and(|name| name.contains("A100") || name.contains("A30"));
    !device.architecture().is_ok_and(is_older) && !is_ga100
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
