//! How a run meters, and what is kept of its machine for later ones.

use super::timeline::Timeline;
use crate::output::Output;
use llem_meter::{
    Clock, Device, Meter, PowerModel, Resolution, baseline::Baselines, peaks::MeasuredPeaks,
};
use llem_record::{
    Event,
    environment::{MeteringRecord, PowerModelRecord},
    hardware::{DeviceRecord, GaugeRecord},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// How to meter.
#[derive(Clone, Debug, Default)]
pub struct Metering {
    /// Where, how often, and by what power model.
    pub options: llem_meter::Options,
    /// Whether samples are kept beside the record.
    pub timeline: bool,
    /// How long the standard runner rests for a baseline, unless one is known that is recent enough.
    pub baseline: Option<Duration>,
    /// The folder of what is kept for later runs; none means that nothing is.
    pub kept: Option<PathBuf>,
}

impl Metering {
    /// What the record says of it.
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
            baseline_ns: self.baseline.map(nanoseconds),
            proc_root: unless_usual(&options.roots.proc, "/proc"),
            sys_root: unless_usual(&options.roots.sys, "/sys"),
        }
    }

    /// Idle power as earlier runs measured it.
    pub fn baselines(&self) -> Option<Baselines> {
        self.kept.as_ref().map(|folder| Baselines::new(folder.join("baselines.json")))
    }

    /// Peaks as they were measured on this machine.
    pub fn peaks(&self) -> Option<MeasuredPeaks> {
        self.kept.as_ref().map(|folder| MeasuredPeaks::new(folder.join("peaks.json")))
    }
}

/// A run's meter, with the timeline that it feeds.
pub struct RunMeter {
    /// The meter.
    pub meter: Meter,
    /// None where samples go nowhere.
    timeline: Option<Timeline>,
}

impl RunMeter {
    /// Looks for devices, and tells the record what there is. `more_gpus` are those of this machine that other ranks see.
    pub fn start(
        clock: &Clock,
        output: &Arc<Output>,
        metering: &Metering,
        more_gpus: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut options = metering.options.clone();
        options.more_gpus.extend(more_gpus);
        let meter = Meter::discover(&options);
        if let Err(error) = tell(output, &meter) {
            // The event after it fails likewise, and ends the run.
            tracing::warn!("devices are not in the record: {error}");
        }
        let timeline = Timeline::start(clock, output, metering.timeline, &meter);
        Self { meter, timeline }
    }

    /// Ends the timeline and writes what it left.
    pub fn finish(&self, output: &Output) -> wasmtime::Result<()> {
        match &self.timeline {
            Some(timeline) => timeline.finish(output, &self.meter),
            None => Ok(()),
        }
    }
}

fn tell(output: &Arc<Output>, meter: &Meter) -> wasmtime::Result<()> {
    let resolutions = meter.resolutions();
    let devices = meter.devices();
    for device in &devices {
        for note in &device.notes {
            output.keep(Event::Warning { message: format!("{}: {note}", device.id) })?;
        }
    }
    for note in meter.notes() {
        output.keep(Event::Warning { message: note.clone() })?;
    }
    let devices = devices.iter().map(|device| record(meter, device, &resolutions)).collect();
    output.keep(Event::Devices { devices })
}

fn record(meter: &Meter, device: &Device, resolutions: &[Resolution]) -> DeviceRecord {
    let gauges = resolutions.iter().filter(|gauge| gauge.device == device.id);
    let gauge = |gauge: &Resolution| GaugeRecord {
        domain: gauge.domain.clone(),
        source: gauge.source.clone().ok(),
        at: meter.place_of(&device.id, &gauge.domain).map(str::to_owned),
        unavailable: gauge.source.clone().err(),
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
