//! `llem doctor`: what this machine can measure, and what it lacks.

use super::{MeterArgs, cache};
use crate::build_info;
use llem_engine::kernels::simd::{Path, VARIABLE};
use llem_meter::{
    Device, DeviceKind, DeviceState, Meter, Resolution,
    clock::unix_seconds,
    peaks::{self, Measured, MeasuredPeaks},
};
use llem_quantity::{Quantity, Reading, Source, significant};
use llem_runtime::Metering;
use serde_json::json;
use std::{thread, time::Duration};

/// How long counters are watched, so that their own periods are told: fifteen ticks of a slow one.
const WATCHED: Duration = Duration::from_millis(1500);

/// Show devices, energy sources, and what is missing with its remedy.
#[derive(clap::Args)]
pub struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Measure what each device reaches, a matrix product and a copy, and keep it for MFU and MBU of later runs
    #[arg(long)]
    peaks: bool,
    #[command(flatten)]
    meter_args: MeterArgs,
}

impl Args {
    /// Looks and tells.
    pub fn run(self) -> anyhow::Result<()> {
        let meter = Meter::discover(&self.meter_args.options()?);
        let devices = meter.devices();
        if self.peaks {
            devices.iter().try_for_each(measure_peaks)?;
        }
        if meter.resolutions().iter().any(|gauge| gauge.update_period.is_ok()) {
            thread::sleep(WATCHED);
        }
        let resolutions = meter.resolutions();
        if self.json {
            println!("{}", to_object(&meter, &devices, &resolutions));
            return Ok(());
        }
        for device in &devices {
            print_device(device, meter.state(&device.id).as_ref(), &resolutions);
        }
        for note in meter.notes() {
            println!("{} {note}", console::style("note:").yellow());
        }
        if let Some(reason) = meter.gpus_missing() {
            println!("{} {reason}", console::style("no GPU:").bold());
        }
        println!("{} {}", console::style("kernels:").bold(), kernels());
        println!("{} {}", console::style("build:").bold(), build());
        if let Some(revision) = build_info::revision() {
            println!("{} {revision}", console::style("source:").bold());
        }
        Ok(())
    }
}

/// The instruction set that the CPU's kernels use, and those that they could.
fn kernels() -> String {
    let names: Vec<_> = Path::available().iter().map(Path::to_string).collect();
    format!("{} of {}; {VARIABLE} chooses", Path::chosen(), names.join(", "))
}

/// Measures a device that this build can use, and keeps what it reached.
fn measure_peaks(device: &Device) -> anyhow::Result<()> {
    let ordinal: llem_engine::Device = device.id.parse()?;
    if ordinal != llem_engine::Device::Cpu && !cfg!(feature = "cuda") {
        return Ok(());
    }
    let reached = llem_engine::peaks::measure(ordinal)?;
    let quantity = |rate: llem_engine::peaks::Rate, unit: &str| {
        Quantity::new(rate.best, rate.spread, unit, Source::Derived)
    };
    let products = reached.products.iter();
    let measured = Measured {
        device: device.key(),
        measured_at: unix_seconds(),
        products: products
            .map(|(dtype, rate)| (dtype.to_string(), quantity(*rate, "FLOP/s")))
            .collect(),
        bandwidth: quantity(reached.bandwidth, "By/s"),
    };
    if let Some(kept) = kept_peaks()
        && let Err(reason) = kept.keep(measured)
    {
        eprintln!("the peaks are not kept for later runs: {reason}");
    }
    Ok(())
}

fn kept_peaks() -> Option<MeasuredPeaks> {
    Metering { kept: cache(), ..Metering::default() }.peaks()
}

fn measured(device: &Device) -> Option<Measured> {
    kept_peaks()?.find(&device.key())
}

/// What this binary was built with.
fn build() -> String {
    if cfg!(feature = "cuda") {
        format!("with CUDA{}", if cfg!(feature = "nccl") { " and NCCL" } else { "" })
    } else {
        "CPU only; for GPUs: cargo build --release --features cuda".to_owned()
    }
}

fn print_device(device: &Device, state: Option<&DeviceState>, resolutions: &[Resolution]) {
    println!("{} {}", console::style(format!("{}:", device.id)).bold(), device.name);
    if let Some(bytes) = device.memory_bytes {
        println!("  memory       {:.1} GiB", bytes as f64 / f64::from(1 << 30));
    }
    if let Some((major, minor)) = device.compute_capability {
        println!("  capability   {major}.{minor}");
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
                println!("  {name:<12} {quantity}");
            }
        }
        if !state.throttle_reasons.is_empty() {
            println!("  throttled    {}", state.throttle_reasons.join(", "));
        }
    }
    for resolution in resolutions.iter().filter(|resolution| resolution.device == device.id) {
        match &resolution.source {
            Ok(source) => {
                println!("  energy       {} by {source}{}", resolution.domain, period(resolution))
            }
            Err(reason) => println!("  energy       {}: {reason}", console::style("none").yellow()),
        }
    }
    if let Some(peaks) = peaks::of(&device.name) {
        let (f32, bandwidth) = (peaks.f32 / 1e12, peaks.bandwidth / 1e12);
        let half = peaks.bf16.or(peaks.f16).unwrap_or_default() / 1e12;
        println!(
            "  peaks        {f32} TFLOP/s f32, {half} in 16 bits, {bandwidth} TB/s ({})",
            peaks.source
        );
    }
    if let Some(measured) = measured(device) {
        let products = measured.products.iter();
        let products: Vec<_> = products
            .map(|(dtype, rate)| format!("{} in {dtype}", significant(rate.value / 1e12)))
            .collect();
        println!(
            "  reached      {} TFLOP/s; copy {} GB/s (measured {})",
            products.join(", "),
            significant(measured.bandwidth.value / 1e9),
            llem_record::date(measured.measured_at)
        );
    }
    if !device.settings.is_empty() {
        let settings = device.settings.iter().map(|(name, value)| format!("{name} {value}"));
        println!("  settings     {}", settings.collect::<Vec<_>>().join(", "));
    }
    for note in &device.notes {
        println!("  {}         {note}", console::style("note").yellow());
    }
}

/// How often a gauge is updated, as it was seen or as it is known of its kind.
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
            "energy_unavailable": device.energy_source.as_ref().err(),
            "uuid": device.uuid,
            "notes": device.notes,
            "settings": device.settings,
            "peaks": peaks::of(&device.name).map(|peaks| json!({
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
            "device": resolution.device,
            "domain": resolution.domain,
            "source": resolution.source.as_ref().ok(),
            "at": meter.place_of(&resolution.device, &resolution.domain),
            "unavailable": resolution.source.as_ref().err(),
            "update_period": known(&resolution.update_period),
        })
    });
    json!({
        "devices": devices.collect::<Vec<_>>(),
        "counters": counters.collect::<Vec<_>>(),
        "gpus_missing": meter.gpus_missing(),
        "build": build_info::build(),
    })
}
