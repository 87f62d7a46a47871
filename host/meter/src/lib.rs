//! Devices, energy counters and windows. Knows nothing of models or WebAssembly.
//!
//! ```text
//!            counters   clock                          clock   counters
//! open ────────┴──────────┴── the work to be measured ───┴────────┴──── close
//! ```
//!
//! The clock is read next to the work and the counters next to the clock, so that time is never
//! charged for reading energy. Whoever opens a window first waits for the devices' queued work.

pub mod clock;
pub mod device;
pub mod sources;
pub mod window;

pub use clock::Clock;
pub use device::{Device, DeviceKind, State};
pub use sources::{Counter, Reading as CounterReading};
pub use window::{DeviceEnergy, Meter, Resolution, Span, Window};
