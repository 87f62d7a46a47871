//! Where energy readings come from: one file a source.

pub mod cuda;
pub mod declared;
pub mod nvml;
pub mod rapl;

use crate::{account::Period, clock::Seconds};
use llem_quantity::Source;

/// A cumulative energy counter of one power domain of one device.
pub trait Counter: Send {
    /// What kind of reading it is.
    fn source(&self) -> Source;
    /// How its ticks lie in time.
    fn period(&self) -> Period;
    /// Reads it now, or says why it cannot.
    fn read(&self) -> Result<Raw, String>;
    /// Joules from one reading to a later one, or why they cannot be told.
    fn joules(&self, from: Raw, to: Raw) -> Result<f64, String>;
}

/// A counter's raw value; only the counter itself knows what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw(pub u64);

/// A sensor of the power that one device draws.
pub trait Sensor: Send {
    /// Time between two updates of what it tells, s.
    fn period(&self) -> Seconds;
    /// The most that the device may draw, W, where that is known.
    fn limit(&self) -> Option<f64>;
    /// Power now, W, or why it cannot be told.
    fn read(&self) -> Result<f64, String>;
}

/// What can be read of a power domain.
pub enum Instrument {
    /// A counter.
    Counter(Box<dyn Counter>),
    /// A counter, and a sensor against which it is held.
    Both(Box<dyn Counter>, Box<dyn Sensor>),
    /// A sensor alone, whose power is integrated.
    Sensor(Box<dyn Sensor>),
    /// No instrument: a power model that a person declared.
    Declared(declared::Declared),
}

/// A power domain of a device that can be metered.
pub struct Metered {
    /// The device's id.
    pub device: String,
    /// The power domain within it.
    pub domain: String,
    /// Where it is read: a folder of the kernel's, or `nvml` and the card's UUID; none where nothing is read.
    pub at: Option<String>,
    /// By what.
    pub instrument: Instrument,
}

/// Stands for the domains of a device that nothing measures.
pub const UNMEASURED: &str = "all";

/// A device, or one of its domains, that nothing meters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmetered {
    /// The device's id.
    pub device: String,
    /// The power domain within it; none means that no domain of the device is metered.
    pub domain: Option<String>,
    /// Why, and what to run to change that.
    pub reason: String,
}

/// All that is metered of this machine, and what is not.
#[derive(Default)]
pub struct Found {
    /// What is.
    pub metered: Vec<Metered>,
    /// What is not.
    pub unmetered: Vec<Unmetered>,
}
