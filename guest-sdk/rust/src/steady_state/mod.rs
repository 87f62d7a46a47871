//! Measurement in steady state only: of a full batch, or of a chip that has reached its temperature.

mod saturated_batch;
mod thermal_protocol;

pub use saturated_batch::{SaturatedBatch, SteadyState};
pub use thermal_protocol::{ThermalProtocol, ThermalSweep, ThermalTrial, joules_per_run};
