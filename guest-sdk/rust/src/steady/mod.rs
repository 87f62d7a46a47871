//! Measuring only what is in steady state: a batch that is full, or a chip that is as warm as it will be.

mod saturated;
mod thermal;

pub use saturated::{Saturated, SteadyState};
pub use thermal::{Protocol, Sweep, ThermalTrial, metrics};
