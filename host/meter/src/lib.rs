//! Devices, their energy counters, and measured windows. This crate knows nothing of models or WebAssembly.
//!
//! ```text
//!            counters   clock                          clock   counters
//! open ────────┴──────────┴── the work to be measured ───┴────────┴──── close
//! ```
//!
//! The clock is read next to the work and the counters next to the clock, so that the time it takes to read energy is
//! not part of the measured time. The caller waits for the work queued on the devices before it opens or closes a
//! window.
//!
//! ```text
//! sources (NVML, RAPL, declared model) ─► DomainMeter ─► DomainSnapshot at each end of a window ─► ClosedWindow
//!                                             ▲
//!                     SamplerThread reads it every 10 ms
//! ```
//!
//! # Start at
//! - [`Meter`]: finds all devices and opens and closes windows
//! - [`ClosedWindow`]: what a window measured, with [`DeviceEnergy`] for each [`DomainId`]
//! - [`EnergyTotal`]: a sum over devices that says what it covers
//! - [`PowerModel`]: a declared model for a processor without a counter
//! - [`SyntheticPower`]: the given energy of a synthetic host, in virtual time
//! - [`ContinuousWindow`] and [`DomainCurves`]: energy of parts of a window
//!
//! # Example
//! A window on a machine whose processor has no counter, so that a declared power model takes its place:
//!
//! ```
//! use llem_meter::{DomainId, Meter, MeterOptions, Roots};
//! use llem_quantity::Source;
//!
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("stat"), "cpu 100 0 0 900 0 0 0 0\n")?;
//! let meter = Meter::discover(&MeterOptions {
//!     roots: Roots { proc: folder.path().into(), sys: folder.path().into() },
//!     power_model: Some("tdp=100,idle=20".parse()?),
//!     ..MeterOptions::default()
//! });
//!
//! let window = meter.open();
//! // All threads of the imitated processor are busy for a while.
//! std::thread::sleep(std::time::Duration::from_millis(20));
//! std::fs::write(folder.path().join("stat"), "cpu 110 0 0 900 0 0 0 0\n")?;
//! let closed = meter.close(window);
//!
//! let part = closed.energy.iter().find(|part| part.id.device == "cpu").expect("the processor");
//! assert_eq!(part.id, DomainId::new("cpu", "declared"));
//! let energy = part.energy.as_ref().expect("the model gives a number");
//! assert!((energy.value - 100.0 * closed.wall.as_secs_f64()).abs() < 1e-9, "100 W over the window");
//! assert_eq!(energy.source, Source::Modelled);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod baseline;
mod clock;
mod continuous_window;
mod cpufreq;
mod curve;
mod device;
mod domain;
mod domain_curves;
mod domain_meter;
mod energy_total;
mod energy_until;
mod faults;
mod history;
mod instrument_readers;
mod integral;
mod lock;
mod memory;
mod meter;
mod peaks;
mod processor;
mod sampler;
mod shared_state;
mod sources;
mod tick_counter;
mod uncertain_value;
mod warning;
mod window;

#[cfg(test)]
mod tests;

pub use baseline::{BASELINE_PARTS, BaselineStore, IdlePower, StoredBaseline, compute_idle_power};
pub use clock::{Clock, Seconds, unix_seconds};
pub use continuous_window::ContinuousWindow;
pub use device::{Device, DeviceKind, DeviceState};
pub use domain::{DomainId, Resolution};
pub use domain_curves::{DomainCurves, SummedCurve};
pub use energy_total::EnergyTotal;
pub use energy_until::{EnergyUncertainty, EnergyUntil};
pub use history::{Condition, DeviceSummary, Sample, Summary};
pub use memory::{MemoryKind, MemoryPeak, NoProcessMemory};
pub use meter::{Meter, MeterOptions, SAMPLE_PERIOD};
pub use peaks::{DatasheetPeaks, PeakMeasurement, PeakStore};
pub use processor::{PROC_VARIABLE, Processor, Roots, SYS_VARIABLE};
pub use sampler::{SamplerCost, Sink, thread_busy_nanoseconds};
pub use sources::{
    declared::{InvalidPowerModel, PowerModel},
    nvml::cuda_device_uuids,
    synthetic::SyntheticPower,
};
pub use uncertain_value::UncertainValue;
pub use warning::Warning;
pub use window::{ClosedWindow, DeviceEnergy, Window};
