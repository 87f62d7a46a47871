//! How a run meters, and what is kept of its machine for later ones.

use crate::{output::Output, state::Run, timeline::Timeline};
use llem_meter::{
    Device, Meter, PowerModel, Resolution, baseline::Baselines, peaks::MeasuredPeaks,
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
    /// Looks for devices, and tells the record what there is.
    pub fn start(run: &Run) -> Self {
        let mut options = run.metering.options.clone();
        // Ranks of this machine that each see only a GPU of their own: the energy of all is the model's.
        options.more_gpus.extend(run.model.world.iter().flat_map(|world| world.other_gpus()));
        let meter = Meter::discover(&options);
        if let Err(error) = tell(&run.output, &meter) {
            // The event after it fails likewise, and ends the run.
            tracing::warn!("devices are not in the record: {error}");
        }
        let timeline = Timeline::start(run, &meter);
        Self { meter, timeline }
    }

    /// Ends the timeline and writes what it left.
    pub fn finish(&self, run: &Run) -> wasmtime::Result<()> {
        match &self.timeline {
            Some(timeline) => timeline.finish(run, &self.meter),
            None => Ok(()),
        }
    }
}

fn tell(output: &Arc<Output>, meter: &Meter) -> wasmtime::Result<()> {
    let resolutions = meter.resolutions();
    let devices = meter.devices();
    for device in &devices {
        for note in &device.notes {
            output.write(Event::Warning { message: format!("{}: {note}", device.id) })?;
        }
    }
    for note in meter.notes() {
        output.write(Event::Warning { message: note.clone() })?;
    }
    let devices = devices.iter().map(|device| record(meter, device, &resolutions)).collect();
    output.write(Event::Devices { devices })
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
