//! Ready warm-up policies: how often, how long, until how steady, or not at all.

mod count;
mod steady;
mod time;

pub use count::{ColdStart, FixedCount};
pub use steady::CvConvergence;
pub use time::{CountThenFloor, TimeFloor};

#[cfg(test)]
mod fixtures;
