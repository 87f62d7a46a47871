//! The command `llem doctor`: what this machine can measure, and what is missing.

use super::{
    MeterArgs, cache,
    output::{print, print_json},
};
use crate::{build_info, untrusted::line};
use llem_engine::cpu::{INSTRUCTION_SET_VARIABLE, InstructionSet};
use llem_meter::{
    DatasheetPeaks, Device, DeviceKind, DeviceState, Meter, PeakMeasurement, PeakStore, Resolution,
    unix_seconds,
};
use llem_quantity::{Quantity, Reading, Source, significant};
use llem_runtime::MeterSetup;
use serde_json::json;
use std::{
    io::{self, Write},
    thread,
    time::Duration,
};

/// How long counters are watched to measure their update periods: fifteen ticks of a slow one.
const WATCHED: Duration = Duration::from_millis(1500);

/// Show devices, energy sources, and what is missing with its remedy.
#[derive(clap::Args)]
pub(crate) struct DoctorArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Measure what each device reaches, a matrix product and a copy, and keep it for MFU and MBU of later runs
    #[arg(long)]
    peaks: bool,
    #[command(flatten)]
    meter_args: MeterArgs,
}

impl DoctorArgs {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let meter = Meter::discover(&self.meter_args.options());
        let devices = meter.devices();
        if self.peaks {
            devices.iter().try_for_each(measure_peaks)?;
        }
        if meter.resolutions().iter().any(|gauge| gauge.update_period.is_ok()) {
            thread::sleep(WATCHED);
        }
        let resolutions = meter.resolutions();
        if self.json {
            return print_json(&to_object(&meter, &devices, &resolutions).to_string());
        }
        print(|out| {
            for device in &devices {
                print_device(device, meter.state(&device.id).as_ref(), &resolutions, out)?;
            }
            for note in meter.notes() {
                writeln!(out, "{} {}", console::style("note:").yellow(), line(note))?;
            }
            if let Some(reason) = meter.gpus_missing() {
                writeln!(
                    out,
                    "{} {}",
                    console::style("no GPU:").bold(),
                    line(&reason.to_string())
                )?;
            }
            writeln!(out, "{} {}", console::style("kernels:").bold(), kernels())?;
            for library in llem_engine::gpu_libraries() {
                let found = match &library.path {
                    Ok(path) => path.display().to_string(),
                    Err(error) => error.to_string(),
                };
                let head = format!("{}:", library.name);
                writeln!(out, "{} {}", console::style(head).bold(), line(&found))?;
            }
            if let Some(revision) = build_info::revision() {
                writeln!(out, "{} {revision}", console::style("source:").bold())?;
            }
            Ok(())
        })
    }
}

/// The instruction set that the CPU's kernels use, and all that they could use.
fn kernels() -> String {
    let names: Vec<_> = InstructionSet::available().iter().map(InstructionSet::to_string).collect();
    format!(
        "{} of {}; {INSTRUCTION_SET_VARIABLE} chooses",
        InstructionSet::chosen(),
        names.join(", ")
    )
}

/// Measures the peak rates of a device that this build can use, and stores them for later runs.
fn measure_peaks(device: &Device) -> anyhow::Result<()> {
    let ordinal: llem_engine::DeviceId = device.id.parse()?;
    let reached = llem_engine::measure_peaks(ordinal)?;
    let quantity = |rate: llem_engine::PeakRate, unit: &str| {
        Quantity::new(rate.best, rate.spread, unit, Source::Derived)
    };
    let products = reached.products.iter();
    let measured = PeakMeasurement {
        device: device.key(),
        measured_at: unix_seconds(),
        products: products
            .map(|(dtype, rate)| (dtype.to_string(), quantity(*rate, "FLOP/s")))
            .collect(),
        bandwidth: quantity(reached.bandwidth, "By/s"),
    };
    if let Some(kept) = kept_peaks()
        && let Err(reason) = kept.insert(measured)
    {
        eprintln!("{}", line(&format!("the peaks are not kept for later runs: {reason}")));
    }
    Ok(())
}

fn kept_peaks() -> Option<PeakStore> {
    MeterSetup { kept: cache(), ..MeterSetup::default() }.peaks()
}

fn measured(device: &Device) -> Option<PeakMeasurement> {
    kept_peaks()?.find(&device.key())
}

fn print_device(
    device: &Device,
    state: Option<&DeviceState>,
    resolutions: &[Resolution],
    out: &mut dyn Write,
) -> io::Result<()> {
    let head = format!("{}:", device.id);
    writeln!(out, "{} {}", console::style(head).bold(), line(&device.name))?;
    let mut print_field = |name: &str, text: String| writeln!(out, "  {name:<12} {}", line(&text));
    if let Some(bytes) = device.memory_bytes {
        print_field("memory", format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)))?;
    }
    if let Some((major, minor)) = device.compute_capability {
        print_field("capability", format!("{major}.{minor}"))?;
    }
    if let Some(state) = state {
        let readings = [
            ("power", &state.power),
            ("temperature", &state.temperature),
            ("core clock", &state.core_clock),
            ("memory clock", &state.memory_clock),
            ("utilisation", &state.utilisation),
        ];
        for (name, reading) in readings {
            if let Ok(quantity) = reading {
                print_field(name, quantity.to_string())?;
            }
        }
        if !state.throttle_reasons.is_empty() {
            print_field("throttled", state.throttle_reasons.join(", "))?;
        }
    }
    for resolution in resolutions.iter().filter(|resolution| resolution.id.device == device.id) {
        let text = match &resolution.source {
            Ok(source) => format!("{} by {source}{}", resolution.id.domain, period(resolution)),
            Err(reason) => format!("none: {reason}"),
        };
        print_field("energy", text)?;
    }
    if let Some(peaks) = DatasheetPeaks::from_name(&device.name) {
        let (f32, bandwidth) = (peaks.f32 / 1e12, peaks.bandwidth / 1e12);
        let half = peaks.bf16.or(peaks.f16).unwrap_or_default() / 1e12;
        let source = peaks.source;
        print_field(
            "peaks",
            format!("{f32} TFLOP/s f32, {half} in 16 bits, {bandwidth} TB/s ({source})"),
        )?;
    }
    if let Some(measured) = measured(device) {
        let products = measured.products.iter();
        let products: Vec<_> = products
            .map(|(dtype, rate)| format!("{} in {dtype}", significant(rate.value / 1e12)))
            .collect();
        let text = format!(
            "{} TFLOP/s; copy {} GB/s (measured {})",
            products.join(", "),
            significant(measured.bandwidth.value / 1e9),
            llem_record::date(measured.measured_at as i64)
        );
        print_field("reached", text)?;
    }
    if !device.settings.is_empty() {
        let settings = device.settings.iter().map(|(name, value)| format!("{name} {value}"));
        print_field("settings", settings.collect::<Vec<_>>().join(", "))?;
    }
    device.notes.iter().try_for_each(|note| print_field("note", note.clone()))
}

/// How often a counter is updated: as it was observed, or as it is known for its kind.
fn period(resolution: &Resolution) -> String {
    let Ok(period) = &resolution.update_period else { return String::new() };
    let in_ms = |seconds: f64| significant(seconds * 1e3);
    let seen = period.source == Source::Sensor;
    match seen {
        true => format!(
            ", a tick every {} ± {} ms, as seen",
            in_ms(period.value),
            in_ms(period.uncertainty)
        ),
        false => format!(", a tick at most every {} ms, as known of its kind", in_ms(period.value)),
    }
}

fn to_object(meter: &Meter, devices: &[Device], resolutions: &[Resolution]) -> serde_json::Value {
    let known = |reading: &Reading| {
        serde_json::to_value(llem_quantity::ReadingRecord::from(reading)).unwrap_or_default()
    };
    let devices = devices.iter().map(|device| {
        let state = meter.state(&device.id);
        json!({
            "id": device.id,
            "kind": match device.kind { DeviceKind::Cpu => "cpu", DeviceKind::Cuda => "cuda" },
            "name": device.name,
            "memory_bytes": device.memory_bytes,
            "compute_capability": device.compute_capability,
            "energy_source": device.energy_source.as_ref().ok(),
            "energy_unavailable": device.energy_source.as_ref().err().map(ToString::to_string),
            "uuid": device.uuid,
            "notes": device.notes,
            "settings": device.settings,
            "peaks": DatasheetPeaks::from_name(&device.name).map(|peaks| json!({
                "f32": peaks.f32, "bf16": peaks.bf16, "f16": peaks.f16, "bandwidth": peaks.bandwidth, "source": peaks.source,
            })),
            "measured_peaks": measured(device),
            "power": state.as_ref().map(|state| known(&state.power)),
            "temperature": state.as_ref().map(|state| known(&state.temperature)),
            "core_clock": state.as_ref().map(|state| known(&state.core_clock)),
            "memory_clock": state.as_ref().map(|state| known(&state.memory_clock)),
            "utilisation": state.as_ref().map(|state| known(&state.utilisation)),
            "memory_used": state.as_ref().map(|state| known(&state.memory_used)),
            "pcie": state.as_ref().map(|state| known(&state.pcie)),
            "throttle_reasons": state.as_ref().map(|state| &state.throttle_reasons),
        })
    });
    let counters = resolutions.iter().map(|resolution| {
        json!({
            "device": resolution.id.device,
            "domain": resolution.id.domain,
            "source": resolution.source.as_ref().ok(),
            "at": meter.location(&resolution.id),
            "unavailable": resolution.source.as_ref().err().map(ToString::to_string),
            "update_period": known(&resolution.update_period),
        })
    });
    json!({
        "devices": devices.collect::<Vec<_>>(),
        "counters": counters.collect::<Vec<_>>(),
        "gpus_missing": meter.gpus_missing().map(ToString::to_string),
        "build": build_info::build(),
    })
}
