//! Where energy readings come from: one file a source.

pub mod nvml;
pub mod rapl;

use llem_quantity::Source;
use std::time::Duration;

/// A cumulative energy counter of one power domain of one device.
pub trait Counter: Send + Sync {
    /// The device's id.
    fn device(&self) -> &str;
    /// The power domain within it.
    fn domain(&self) -> &str;
    /// What kind of reading it is.
    fn source(&self) -> Source;
    /// Time between two updates.
    fn update_period(&self) -> Duration;
    /// Reads it now, or says why it cannot.
    fn read(&self) -> Result<Reading, String>;
    /// Joules from one reading to a later one.
    fn joules(&self, from: Reading, to: Reading) -> f64;
}

/// A counter's raw value; only the counter itself knows what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading(pub u64);

/// All counters of this machine and, for each device without one, the reason.
#[derive(Default)]
pub struct Counters {
    /// Those that can be read.
    pub available: Vec<Box<dyn Counter>>,
    /// Device id, then why nothing measures it and what to run to change that.
    pub unavailable: Vec<(String, String)>,
}
