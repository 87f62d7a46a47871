//! Ready warm-up policies: how often, how long, until how steady or how warm, or not at all.

mod count;
mod steady;
mod temperature;
mod time;

pub use count::{ColdStart, FixedCount};
pub use steady::CvConvergence;
pub use temperature::TemperaturePlateau;
pub use time::{CountThenFloor, TimeFloor};

#[cfg(test)]
pub(crate) mod fixtures;
