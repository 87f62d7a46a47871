//! A physical card, by its handle.

use super::settings;
use crate::device::{Device, DeviceKind};
use llem_quantity::Source;
use nvml_wrapper::{Nvml, error::NvmlError};
use std::{collections::BTreeMap, sync::Arc};

/// A card that can be asked.
#[derive(Clone)]
pub struct Gpu {
    nvml: Arc<Nvml>,
    handle: Handle,
    /// What llem calls it.
    pub id: String,
    /// `GPU-...`
    pub uuid: String,
    /// What it was set to, read once.
    settings: Arc<BTreeMap<String, String>>,
}

/// NVML's handle of a card: found by UUID once, for to look it up again is a call more in each of many readings.
#[derive(Clone, Copy)]
struct Handle(*mut ());

// SAFETY: NVML may be called from any thread (NVML API reference, introduction: "thread-safe"), and its handles belong
// to none; nothing here reads what they point at.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Gpu {
    /// The card with a UUID, as `id`.
    pub fn find(nvml: &Arc<Nvml>, uuid: &str, id: &str) -> Result<Self, String> {
        let device = nvml.device_by_uuid(uuid).map_err(|error| denied(&error))?;
        // SAFETY: the handle is used with the same NVML, which every copy of this keeps loaded.
        let handle = Handle(unsafe { device.handle() }.cast());
        let settings = Arc::new(settings::settings(nvml, &device));
        let (id, uuid) = (id.to_owned(), uuid.to_owned());
        Ok(Self { nvml: Arc::clone(nvml), handle, id, uuid, settings })
    }

    /// To ask NVML something of it. A handle stays valid until NVML is shut down, also where the card is lost.
    pub fn device(&self) -> nvml_wrapper::Device<'_> {
        // SAFETY: the handle came from this NVML, which has not been shut down.
        unsafe { nvml_wrapper::Device::new(self.handle.0.cast(), &self.nvml) }
    }

    /// Says which CUDA its driver runs, as that driver itself tells, which may be newer than NVML's in a container.
    pub fn runs_cuda(&mut self, version: &str) {
        Arc::make_mut(&mut self.settings).insert("cuda".to_owned(), version.to_owned());
    }

    /// What it is, as `id`, which may be another's that means the same card.
    pub fn describe(&self, id: &str, energy_source: Result<Source, String>) -> Option<Device> {
        let device = self.device();
        let capability = device.cuda_compute_capability().ok();
        let name = device.name().ok()?;
        // zeus, pull request 172.
        let is_module = name.contains("GH200");
        let note = "a GH200's counter covers the whole module, CPU and memory included";
        Some(Device {
            id: id.to_owned(),
            kind: DeviceKind::Cuda,
            uuid: Some(self.uuid.clone()),
            memory_bytes: device.memory_info().ok().map(|memory| memory.total),
            compute_capability: capability.map(|c| (c.major as u32, c.minor as u32)),
            energy_source,
            notes: is_module.then(|| note.to_owned()).into_iter().collect(),
            name,
            settings: (*self.settings).clone(),
        })
    }

    /// What to say where NVML has stopped answering.
    pub fn lost(&self, error: &NvmlError) -> String {
        match error {
            NvmlError::GpuLost | NvmlError::NotFound => {
                format!("{} is gone ({error}): see dmesg, and reset or replace it", self.id)
            }
            error => format!("NVML stopped answering for {}: {error}", self.id),
        }
    }
}

/// What to say where NVML does not let a card be metered.
pub fn denied(error: &NvmlError) -> String {
    match error {
        NvmlError::NoPermission => {
            "NVML denies its energy readings to this user: run as root, or ask the \
             administrator for access to /dev/nvidiactl"
                .to_owned()
        }
        error => format!("NVML gives neither energy nor power: {error}"),
    }
}
