//! `llem doctor`: what this machine can measure, and what it lacks.

use llem_meter::{Device, DeviceKind, Meter, Resolution, State};
use llem_quantity::Reading;
use serde_json::json;

/// Show devices, energy sources, and what is missing with its remedy.
#[derive(clap::Args)]
pub struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Looks and tells.
    pub fn run(self) -> anyhow::Result<()> {
        let meter = Meter::discover();
        let devices = meter.devices();
        let resolutions = meter.resolutions();
        if self.json {
            println!("{}", to_object(&meter, &devices, &resolutions));
            return Ok(());
        }
        for device in &devices {
            print_device(device, meter.state(&device.id).as_ref(), &resolutions);
        }
        if let Some(reason) = meter.gpus_missing() {
            println!("{} {reason}", console::style("no GPU:").bold());
        }
        println!("{} {}", console::style("build:").bold(), build());
        Ok(())
    }
}

/// What this binary was built with.
fn build() -> String {
    if cfg!(feature = "cuda") {
        format!("with CUDA{}", if cfg!(feature = "nccl") { " and NCCL" } else { "" })
    } else {
        "CPU only; for GPUs: cargo build --release --features cuda".to_owned()
    }
}

fn print_device(device: &Device, state: Option<&State>, resolutions: &[Resolution]) {
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
                let period = resolution.update_period.unwrap_or_default().as_millis();
                println!(
                    "  energy       {} by {source:?}, a step every {period} ms",
                    resolution.domain
                );
            }
            Err(reason) => println!("  energy       {}: {reason}", console::style("none").yellow()),
        }
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
            "power": state.as_ref().map(|state| known(&state.power)),
            "temperature": state.as_ref().map(|state| known(&state.temperature)),
        })
    });
    let counters = resolutions.iter().map(|resolution| {
        json!({
            "device": resolution.device,
            "domain": resolution.domain,
            "source": resolution.source.as_ref().ok(),
            "unavailable": resolution.source.as_ref().err(),
            "update_period_s": resolution.update_period.map(|period| period.as_secs_f64()),
        })
    });
    json!({
        "devices": devices.collect::<Vec<_>>(),
        "counters": counters.collect::<Vec<_>>(),
        "gpus_missing": meter.gpus_missing(),
        "build": build(),
    })
}
