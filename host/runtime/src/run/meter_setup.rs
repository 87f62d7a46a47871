//! The meter of a run: its settings, its start, and the files that later runs read.

use super::timeline::Timeline;
use crate::output::Output;
use llem_meter::{BaselineStore, Clock, Device, Meter, PeakStore, PowerModel, Resolution};
use llem_record::{DeviceRecord, Event, GaugeRecord, MeteringRecord, PowerModelRecord};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The settings of a run's meter.
#[derive(Clone, Debug, Default)]
pub struct MeterSetup {
    /// The meter's own options: folders, sample period and power model.
    pub options: llem_meter::MeterOptions,
    /// Whether samples are written beside the record.
    pub timeline: bool,
    /// The folder of values for later runs. `None` means that nothing is stored.
    pub kept: Option<PathBuf>,
}

impl MeterSetup {
    /// The settings for the record.
    pub fn record(&self) -> MeteringRecord {
        let nanoseconds = |length: Duration| length.as_nanos() as u64;
        let unless_usual = |root: &Path, usual: &str| {
            (root != Path::new(usual)).then(|| root.display().to_string())
        };
        let model = |model: PowerModel| {
            let PowerModel { tdp, idle, uncertainty } = model;
            PowerModelRecord { tdp_watts: tdp, idle_watts: idle, uncertainty }
        };
        let options = &self.options;
        MeteringRecord {
            sample_period_ns: nanoseconds(options.period),
            aligns_windows: options.align,
            keeps_timeline: self.timeline,
            power_model: options.power_model.map(model),
            proc_root: unless_usual(&options.roots.proc, "/proc"),
            sys_root: unless_usual(&options.roots.sys, "/sys"),
        }
    }

    /// The idle power that earlier runs measured.
    pub fn baselines(&self) -> Option<BaselineStore> {
        self.kept.as_ref().map(|folder| BaselineStore::new(folder.join("baselines.json")))
    }

    /// The peak rates that were measured on this machine.
    pub fn peaks(&self) -> Option<PeakStore> {
        self.kept.as_ref().map(|folder| PeakStore::new(folder.join("peaks.json")))
    }
}

/// The meter of a run, with the timeline that it feeds.
pub(super) struct RunMeter {
    pub meter: Meter,
    /// `None` if samples are used nowhere.
    timeline: Option<Timeline>,
}

impl RunMeter {
    /// Finds the devices and records them. `more_gpus` are GPUs of this machine that only other ranks see.
    pub(super) fn start(
        clock: &Clock,
        output: &Arc<Output>,
        metering: &MeterSetup,
        more_gpus: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut options = metering.options.clone();
        options.more_gpus.extend(more_gpus);
        let meter = Meter::discover(&options);
        if let Err(error) = record_devices(output, &meter) {
            // The next event fails in the same way, and ends the run.
            tracing::warn!("devices are not in the record: {error}");
        }
        let timeline = Timeline::start(clock, output, metering.timeline, &meter);
        Self { meter, timeline }
    }

    /// Ends the timeline and records it.
    pub(super) fn finish(&self, output: &Output) -> wasmtime::Result<()> {
        match &self.timeline {
            Some(timeline) => timeline.finish(output, &self.meter),
            None => Ok(()),
        }
    }
}

fn record_devices(output: &Arc<Output>, meter: &Meter) -> wasmtime::Result<()> {
    let resolutions = meter.resolutions();
    let devices = meter.devices();
    for device in &devices {
        for note in &device.notes {
            output
                .write_host_event(Event::Warning { message: format!("{}: {note}", device.id) })?;
        }
    }
    for note in meter.notes() {
        output.write_host_event(Event::Warning { message: note.clone() })?;
    }
    let devices = devices.iter().map(|device| record(meter, device, &resolutions)).collect();
    output.write_host_event(Event::Devices { devices })
}

fn record(meter: &Meter, device: &Device, resolutions: &[Resolution]) -> DeviceRecord {
    let gauges = resolutions.iter().filter(|gauge| gauge.id.device == device.id);
    let gauge = |gauge: &Resolution| GaugeRecord {
        domain: gauge.id.domain.clone(),
        source: gauge.source.clone().ok(),
        at: meter.location(&gauge.id).map(str::to_owned),
        unavailable: gauge.source.as_ref().err().map(ToString::to_string),
        cause: gauge.source.as_ref().err().map(|reason| reason.cause),
    };
    DeviceRecord {
        id: device.id.clone(),
        name: device.name.clone(),
        uuid: device.uuid.clone(),
        memory_bytes: device.memory_bytes,
        gauges: gauges.map(gauge).collect(),
        notes: device.notes.clone(),
        settings: device.settings.clone(),
    }
}
