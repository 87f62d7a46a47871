//! Windows: spans of time with the energy that every domain used in them.

use crate::{
    domain::DomainId,
    domain_curves::DomainCurves,
    domain_meter::DomainSnapshot,
    history::DeviceSummary,
    memory::{MemoryPeak, ResidentWindow},
    shared_state::RetentionGuard,
    sources::UnmeteredDomain,
    warning::Warning,
};
use llem_quantity::Reading;
use std::time::{Duration, Instant};

/// An open window, with the state of every domain's meter at its start. [`crate::Meter::close`] turns it into a
/// [`ClosedWindow`].
pub struct Window {
    /// When the window was opened.
    pub started: Instant,
    pub(crate) snapshots: Vec<DomainSnapshot>,
    pub(crate) resident: ResidentWindow,
    /// Keeps all readings since the window opened; `Some` only if the window will have curves.
    pub(crate) retention: Option<RetentionGuard>,
}

/// What a window measured from its opening to its closing.
#[derive(Clone, Debug)]
pub struct ClosedWindow {
    /// When the window was opened.
    pub started: Instant,
    /// How long the window was open.
    pub wall: Duration,
    /// Energy of each domain, J, including domains that are not metered, with the reason.
    pub energy: Vec<DeviceEnergy>,
    /// Energy of each domain as a function of time. Empty unless the window was opened with
    /// [`crate::Meter::open_with_curves`] or is a part of a [`crate::ContinuousWindow`].
    pub curves: DomainCurves,
    /// Temperature, clocks, utilisation and memory of each device during the window.
    pub devices: Vec<DeviceSummary>,
    /// The most memory that was in use. Empty for a part of a [`crate::ContinuousWindow`].
    pub memory: Vec<MemoryPeak>,
    /// What a reader of these numbers must know.
    pub warnings: Vec<Warning>,
}

/// Energy of one domain over a window.
#[derive(Clone, Debug)]
pub struct DeviceEnergy {
    /// The domain.
    pub id: DomainId,
    /// Energy, J, or why it is not known.
    pub energy: Reading,
}

impl From<&UnmeteredDomain> for DeviceEnergy {
    fn from(unmetered: &UnmeteredDomain) -> Self {
        Self { id: unmetered.id.clone(), energy: Err(unmetered.reason.clone()) }
    }
}

impl ClosedWindow {
    /// Returns this window with the energy of each domain taken from its curve, if the domain has one. For a window that
    /// is too short for a counter, the curve still gives an estimate, with a matching uncertainty.
    #[must_use]
    pub fn with_curve_energies(&self) -> Self {
        let estimates: Vec<DeviceEnergy> = self.curves.energies().collect();
        let by_curve = |part: &DeviceEnergy| {
            let estimate = estimates.iter().find(|estimate| estimate.id == part.id);
            estimate.filter(|estimate| estimate.energy.is_ok()).unwrap_or(part).clone()
        };
        Self { energy: self.energy.iter().map(by_curve).collect(), ..self.clone() }
    }
}
