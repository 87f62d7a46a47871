//! Devices, energy counters and windows. Knows nothing of models or WebAssembly.
//!
//! ```text
//!            counters   clock                          clock   counters
//! open ────────┴──────────┴── the work to be measured ───┴────────┴──── close
//! ```
//!
//! The clock is read next to the work and the counters next to the clock, so that time is never
//! charged for reading energy. Whoever opens a window first waits for the devices' queued work.

pub mod account;
pub mod baseline;
pub mod clock;
mod cpufreq;
pub mod curve;
pub mod device;
mod estimate;
mod following;
mod gauge;
pub mod integral;
mod lock;
mod memory;
mod meter;
pub mod peaks;
pub mod processor;
pub mod sampler;
pub mod sources;
pub mod timeline;
pub mod total;
pub mod warning;
pub mod window;

pub use clock::Clock;
pub use device::{Device, DeviceKind, DeviceState};
pub use estimate::Estimate;
pub use following::Following;
pub use memory::{MemoryKind, MemoryPeak, NoProcessMemory};
pub use meter::{Meter, Options, SAMPLE_PERIOD};
pub use sampler::{SamplerCost, Sink};
pub use sources::declared::PowerModel;
pub use timeline::{DeviceSpan, Sample};
pub use total::Total;
pub use warning::Warning;
pub use window::{Curves, DeviceEnergy, Domain, Joined, Resolution, Span, Window};
