//! The host's clock, the resolution of energy counters, and idle power.

use crate::{
    Result,
    bindings::meter,
    quantity::{Reading, Source, reading_from},
    wait::nanoseconds,
};
use std::time::Duration;

pub use meter::{now, sleep_until};

/// The time resolution of a power domain's energy counter.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// The device's id.
    pub device: String,
    /// The power domain within it.
    pub domain: String,
    /// The source of the energy, or the reason why it is not measured.
    pub source: Result<Source, String>,
    /// The time between two updates of the counter, in s.
    pub update_period: Reading,
}

/// Returns the time resolution of each power domain of this machine.
pub fn counter_resolution() -> Vec<Resolution> {
    let resolution = |one: meter::Resolution| Resolution {
        device: one.device,
        domain: one.domain,
        source: one.source.map(Source::from),
        update_period: reading_from(one.update_period),
    };
    meter::counter_resolution().into_iter().map(resolution).collect()
}

/// The idle power of the machine: a separate measurement with a date.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Baseline {
    /// When the baseline was measured, in seconds since 1970-01-01 UTC.
    pub measured_at: u64,
    /// How long the measurement took, in ns.
    pub wall_time: u64,
    /// Whether an earlier run measured the baseline.
    pub from_earlier_run: bool,
    /// The idle power of each power domain of each device.
    pub power: Vec<IdlePower>,
}

/// The idle power of one power domain of a device.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IdlePower {
    /// The device's id.
    pub device: String,
    /// The power domain within it.
    pub domain: String,
    /// The mean power, in W. The uncertainty includes the scatter of the readings.
    pub power: Reading,
    /// The reason why the power was not steady: it rose, fell or scattered by more than 5 %. `None` if it was steady.
    pub unsteady: Option<String>,
    /// Whether a model was on the device. A loaded model keeps a GPU from its deepest idle state.
    pub holds_model: bool,
}

impl Baseline {
    /// Measures idle power for `length`, which must be between 100 ms and 10 minutes, and stores it for later runs.
    /// From then on [`Measurement::energy_above_idle`](crate::Measurement::energy_above_idle) uses it.
    ///
    /// An idle GPU that holds a model takes more power than one that holds none. A baseline that was measured with a
    /// model on a GPU is therefore used only for windows with a model on it, and the reverse.
    pub fn measure(length: Duration) -> Result<Self> {
        Ok(Self::from(&meter::Baseline::measure(nanoseconds(length))?))
    }

    /// Returns the baseline that an earlier run measured at most `lifetime` ago on these devices, with models on the
    /// same devices as now. Otherwise measures one (see [`Self::measure`]).
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
            power: reading_from(one.power),
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
