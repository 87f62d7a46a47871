//! A physical card that NVML can read, with its handle.

use super::{cause, settings};
use crate::device::{Device, DeviceKind};
use llem_quantity::{Cause, Source, Unavailable};
use nvml_wrapper::{Nvml, error::NvmlError};
use std::{collections::BTreeMap, sync::Arc};

/// A card that NVML can read.
#[derive(Clone)]
pub(crate) struct NvmlGpu {
    nvml: Arc<Nvml>,
    handle: NvmlHandle,
    /// The id, such as `cuda:0`.
    pub id: String,
    /// The UUID: `GPU-...`.
    pub uuid: String,
    /// The settings, read once.
    settings: Arc<BTreeMap<String, String>>,
}

/// NVML's handle of a card. It is found by UUID once, because a lookup would be one more call in each of many readings.
#[derive(Clone, Copy)]
struct NvmlHandle(*mut ());

// SAFETY: NVML may be called from any thread (NVML API reference, introduction: "thread-safe"), and its handles belong
// to no thread. Nothing here reads what they point at.
unsafe impl Send for NvmlHandle {}
// SAFETY: a shared handle can do no more than a sent one, because NVML may be called from any thread at the same time.
unsafe impl Sync for NvmlHandle {}

impl NvmlGpu {
    /// Finds the card with a UUID, and gives it an id.
    pub(crate) fn find(nvml: &Arc<Nvml>, uuid: &str, id: &str) -> Result<Self, Unavailable> {
        let device = nvml.device_by_uuid(uuid).map_err(|error| not_metered(&error))?;
        // SAFETY: the handle is used with the same NVML, which every copy of this struct keeps loaded.
        let handle = NvmlHandle(unsafe { device.handle() }.cast());
        let settings = Arc::new(settings::settings(nvml, &device));
        let (id, uuid) = (id.to_owned(), uuid.to_owned());
        Ok(Self { nvml: Arc::clone(nvml), handle, id, uuid, settings })
    }

    /// Returns the card for calls of NVML. The handle stays valid until NVML is shut down, even if the card is lost.
    pub(crate) fn device(&self) -> nvml_wrapper::Device<'_> {
        // SAFETY: the handle came from this NVML, which has not been shut down.
        unsafe { nvml_wrapper::Device::new(self.handle.0.cast(), &self.nvml) }
    }

    /// Replaces NVML's CUDA version by the one that CUDA's own driver reports. It may be newer in a container.
    pub(crate) fn set_cuda_version(&mut self, version: &str) {
        Arc::make_mut(&mut self.settings).insert("cuda".to_owned(), version.to_owned());
    }

    /// Describes the card as the device `id`, which may be another id of the same card.
    pub(crate) fn describe(
        &self,
        id: &str,
        energy_source: Result<Source, Unavailable>,
    ) -> Option<Device> {
        let device = self.device();
        let capability = device.cuda_compute_capability().ok();
        let name = device.name().ok()?;
        // See pull request 172 of Zeus.
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

    /// Returns the reason for which a reading failed that worked before.
    pub(crate) fn reading_failed(&self, error: &NvmlError) -> Unavailable {
        let detail = match error {
            NvmlError::GpuLost | NvmlError::NotFound => {
                format!("{} is gone ({error}): see dmesg, and reset or replace it", self.id)
            }
            error => format!("NVML stopped answering for {}: {error}", self.id),
        };
        Unavailable::new(cause(error), detail)
    }
}

/// Returns the reason for which a card cannot be metered.
pub(crate) fn not_metered(error: &NvmlError) -> Unavailable {
    match error {
        NvmlError::NoPermission => Unavailable::new(
            Cause::NoPermission,
            "NVML denies its energy readings to this user: run as root, or ask the \
             administrator for access to /dev/nvidiactl",
        ),
        error => {
            let detail = format!("NVML gives neither energy nor power: {error}");
            Unavailable::new(cause(error), detail)
        }
    }
}
