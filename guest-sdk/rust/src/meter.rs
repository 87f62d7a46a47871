//! The host's clock, how finely it meters, and idle power.

use crate::{
    Result,
    bindings::meter,
    quantity::{Reading, Source, read},
    rest::nanoseconds,
};
use std::time::Duration;

pub use meter::{now, sleep_until};

/// How finely a device's energy can be told.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// The device's id.
    pub device: String,
    /// The power domain within it.
    pub domain: String,
    /// What measures it, or the reason why nothing does.
    pub source: Result<Source, String>,
    /// Time between two updates, s.
    pub update_period: Reading,
}

/// How finely each device's energy can be told on this machine.
pub fn counter_resolution() -> Vec<Resolution> {
    let resolution = |one: meter::Resolution| Resolution {
        device: one.device,
        domain: one.domain,
        source: one.source.map(Source::from),
        update_period: read(one.update_period),
    };
    meter::counter_resolution().into_iter().map(resolution).collect()
}

/// The power of a machine that does nothing: a separate, dated reading.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Baseline {
    /// When it was measured, seconds since 1970-01-01 UTC.
    pub measured_at: u64,
    /// How long that took, ns.
    pub wall_time: u64,
    /// Whether an earlier run measured it.
    pub from_earlier_run: bool,
    /// Each device and domain.
    pub power: Vec<IdlePower>,
}

/// Idle power of one device's domain.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IdlePower {
    /// The device's id.
    pub device: String,
    /// The power domain within it.
    pub domain: String,
    /// Mean power, W, its uncertainty covering how it scattered.
    pub power: Reading,
    /// Why the device had not settled, if it had not: power rose, fell or scattered by more than 5 %.
    pub unsteady: Option<String>,
    /// Whether a model was on the device, which keeps a GPU from its deepest rest.
    pub holds_model: bool,
}

impl Baseline {
    /// Measures it for this long, which must be between 100 ms and 10 minutes, and keeps it for later runs. From then on
    /// `energy_above_idle` of every measurement goes by it. A GPU that holds a model rests at more power than one that
    /// holds none: a baseline counts only for windows of its own kind.
    pub fn measure(length: Duration) -> Result<Self> {
        Ok(Self::from(&meter::Baseline::measure(nanoseconds(length))?))
    }

    /// The same, unless an earlier run measured it at most `lifetime` ago on these devices, with a model loaded where one
    /// is now: then that is returned at once.
    pub fn recall_or_measure(length: Duration, lifetime: Duration) -> Result<Self> {
        let (length, lifetime) = (nanoseconds(length), nanoseconds(lifetime));
        Ok(Self::from(&meter::Baseline::recall_or_measure(length, lifetime)?))
    }
}

impl From<&meter::Baseline> for Baseline {
    fn from(from: &meter::Baseline) -> Self {
        let idle = |one: meter::IdlePower| IdlePower {
            device: one.device,
            domain: one.domain,
            power: read(one.power),
            unsteady: one.unsteady,
            holds_model: one.holds_model,
        };
        Self {
            measured_at: from.measured_at(),
            wall_time: from.wall_time(),
            from_earlier_run: from.from_earlier_run(),
            power: from.power().into_iter().map(idle).collect(),
        }
    }
}
