//! The sources of energy readings, one file each: RAPL, NVML, a declared power model, and the given energy of a synthetic
//! host.

pub(crate) mod cuda_driver;
pub(crate) mod declared;
pub(crate) mod nvml;
pub(crate) mod rapl;
pub(crate) mod synthetic;

use crate::{clock::Seconds, domain::DomainId, tick_counter::Period};
use llem_quantity::{Source, Unavailable};

/// A cumulative energy counter of one power domain.
pub(crate) trait Counter: Send {
    /// Returns the source of the counter's energy.
    fn source(&self) -> Source;
    /// Returns what is known of the time between two ticks.
    fn period(&self) -> Period;
    /// Reads the counter now.
    fn read(&self) -> Result<CounterValue, Unavailable>;
    /// Returns the joules from one reading to a later one. Fails if the counter was set back in between.
    fn joules(&self, from: CounterValue, to: CounterValue) -> Result<f64, Unavailable>;
}

/// A counter's raw value, in the counter's own unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CounterValue(pub u64);

/// A sensor of the power of one device.
pub(crate) trait Sensor: Send {
    /// Returns the time between two updates, s.
    fn period(&self) -> Seconds;
    /// Returns the device's power limit, W, if it is known.
    fn limit(&self) -> Option<f64>;
    /// Reads the power now, W.
    fn read(&self) -> Result<f64, Unavailable>;
}

/// The instruments of a power domain.
pub(crate) enum Instrument {
    Counter(Box<dyn Counter>),
    /// A counter, and a power sensor that its energy is compared with.
    Both(Box<dyn Counter>, Box<dyn Sensor>),
    /// A sensor alone. Its power is integrated.
    Sensor(Box<dyn Sensor>),
    /// No instrument, but a power model that a person declared.
    Declared(declared::DeclaredPower),
    /// No instrument: the energy of a synthetic host is given.
    Synthetic(synthetic::SyntheticReader),
}

/// A power domain that is metered.
pub(crate) struct MeteredDomain {
    pub id: DomainId,
    /// Where the domain is read: a folder of the kernel, or `nvml` and the card's UUID. `None` for a declared model and a
    /// synthetic host.
    pub at: Option<String>,
    pub instrument: Instrument,
}

/// A domain that nothing meters, or a whole device ([`DomainId::unmeasured`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnmeteredDomain {
    pub id: DomainId,
    /// Why nothing meters the domain, and what to do about it.
    pub reason: Unavailable,
}

/// The domains that were found on this machine.
#[derive(Default)]
pub(crate) struct Discovery {
    pub metered: Vec<MeteredDomain>,
    pub unmetered: Vec<UnmeteredDomain>,
}
