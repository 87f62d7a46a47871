//! The energy of domains as functions of time over a window.

use crate::{
    curve::Curve,
    domain::DomainId,
    energy_until::{EnergyUncertainty, EnergyUntil},
    window::DeviceEnergy,
};
use llem_quantity::{Cause, Quantity, Source, Unavailable};
use std::time::{Duration, Instant};

/// The energy curves of all metered domains over a window.
#[derive(Clone, Debug, Default)]
pub struct DomainCurves {
    /// The moment at which the curves' clock was 0; `None` if the window has no curves.
    pub(crate) epoch: Option<Instant>,
    pub(crate) all: Vec<DomainCurve>,
}

/// The energy curve of one domain, or why it has none.
#[derive(Clone, Debug)]
pub(crate) struct DomainCurve {
    pub id: DomainId,
    pub source: Source,
    pub curve: Result<Curve, Unavailable>,
}

/// The energy of several domains together as a function of time.
#[derive(Clone, Debug)]
pub struct SummedCurve {
    epoch: Instant,
    curves: Vec<Curve>,
    source: Source,
}

impl DomainCurves {
    /// Returns each domain's energy over the whole window, J.
    pub(crate) fn energies(&self) -> impl Iterator<Item = DeviceEnergy> {
        self.all.iter().map(|DomainCurve { id, source, curve }| DeviceEnergy {
            id: id.clone(),
            energy: curve.as_ref().map_err(Clone::clone).map(|curve| {
                let energy = curve.end().energy().since(curve.start().energy());
                Quantity::new(energy.value, energy.uncertainty, "J", *source)
            }),
        })
    }

    /// Sums the curves of `domains`. `boundaries` are the moments, in order of time, at which the work changes, for
    /// example from prefill to decode.
    ///
    /// # Errors
    /// The window has no curves, or one of the domains has none.
    pub fn sum(
        &self,
        domains: &[DomainId],
        boundaries: &[Instant],
    ) -> Result<SummedCurve, Unavailable> {
        let not_followed = || Unavailable::new(Cause::NotAsked, "the span was not followed");
        let epoch = self.epoch.ok_or_else(not_followed)?;
        let seconds = |&at: &Instant| at.saturating_duration_since(epoch).as_secs_f64();
        let boundaries: Vec<f64> = boundaries.iter().map(seconds).collect();
        let mut sources = Vec::new();
        let curves = domains.iter().map(|id| {
            let known = self.all.iter().find(|known| known.id == *id).ok_or_else(|| {
                Unavailable::new(Cause::NotSupported, format!("{id} is not metered"))
            })?;
            sources.push(known.source);
            let curve = known.curve.as_ref().map_err(|reason| reason.prefixed(id))?;
            Ok(curve.with_boundaries(&boundaries))
        });
        let curves = curves.collect::<Result<Vec<_>, Unavailable>>()?;
        let zero = |&source: &Source| Quantity::exact(0.0, "J", source);
        let sum = sources.iter().map(zero).reduce(|sum, next| sum.plus(&next).unwrap_or(sum));
        let source = sum.ok_or_else(|| Unavailable::new(Cause::NoWork, "no device"))?.source;
        Ok(SummedCurve { epoch, curves, source })
    }
}

impl SummedCurve {
    /// Returns the energy until a moment, J. It is counted from an arbitrary start, so only differences have a meaning.
    pub fn at(&self, moment: Instant) -> EnergyUntil {
        let at = moment.saturating_duration_since(self.epoch).as_secs_f64();
        let parts = self.curves.iter().map(|curve| curve.at(at));
        let nothing = EnergyUntil { joules: 0.0, uncertainty: EnergyUncertainty::NONE };
        parts.fold(nothing, EnergyUntil::plus)
    }

    /// Returns the first moment at which the energy of all domains is known.
    pub fn known_from(&self) -> Instant {
        let first = self.curves.iter().map(|curve| curve.start().at).fold(0.0, f64::max);
        self.epoch + Duration::from_secs_f64(first)
    }

    /// Returns the source of the energy.
    pub fn source(&self) -> Source {
        self.source
    }
}
