//! Warm-up policies: by count, by time, or until latency or temperature is steady.

mod cv_convergence;
mod fixed_count;
mod temperature_plateau;
mod time_floor;

pub use cv_convergence::CvConvergence;
pub use fixed_count::{ColdStart, FixedCount};
pub use temperature_plateau::TemperaturePlateau;
pub use time_floor::{CountThenFloor, TimeFloor};
