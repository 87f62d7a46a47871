//! Energy of all domains in consecutive parts, for as long as the caller asks for parts.
//!
//! ```text
//! ticks       ·      ·      ·      ·      ·
//! parts  ├──────────────────┼─────────────┼───     each part begins with exactly the joules that the last one ended with
//!                           known until here
//! ```
//!
//! The energy since a counter's last tick is an estimate, and the energy between two ticks is not. A caller that can wait
//! ends a part only where every counter has ticked since ([`crate::Meter::known_until`]).

use crate::{
    clock::Seconds,
    curve::{Curve, Knot},
    domain_meter::{DomainMeter, too_few_ticks},
    energy_until::EnergyUncertainty,
    faults::Faults,
    shared_state::RetentionGuard,
};
use llem_quantity::Unavailable;
use std::time::Instant;

/// A window whose energy is returned in consecutive parts. [`crate::Meter::open_continuous`] opens it, and
/// [`crate::Meter::next_part`] returns the next part.
pub struct ContinuousWindow {
    pub(crate) until: Instant,
    pub(crate) cursors: Vec<DomainCursor>,
    pub(crate) retention: RetentionGuard,
}

/// The end of the last part in one domain: the energy until then, and the readings that had failed by then.
#[derive(Clone, Debug)]
pub(crate) struct DomainCursor {
    at: Seconds,
    /// `None` if nothing is known of the domain's energy yet.
    knot: Option<Knot>,
    faults: Faults,
}

impl ContinuousWindow {
    /// Returns the end of the last part. At first, it is the moment at which the window was opened.
    pub fn until(&self) -> Instant {
        self.until
    }
}

impl DomainCursor {
    pub(crate) fn new(meter: &DomainMeter, at: Seconds) -> Self {
        Self { at, knot: meter.position(at), faults: meter.faults() }
    }

    /// Moves to a later moment and returns the energy curve from the old moment to the new one.
    pub(crate) fn advance(
        &mut self,
        meter: &DomainMeter,
        at: Seconds,
    ) -> Result<Curve, Unavailable> {
        let mut next = Self::new(meter, at);
        let curve = meter.faults().since(&self.faults).and_then(|()| {
            // If nothing was known at the old moment, the curve begins with the first reading after it.
            let uncertainty = EnergyUncertainty::NONE;
            let start = Knot { at: self.at, joules: 0.0, uncertainty };
            let first = || meter.knots(start, at).first().copied();
            let ends = self.knot.or_else(first).zip(next.knot);
            let (from, to) = ends.ok_or_else(too_few_ticks)?;
            let curve = Curve::new(from, meter.knots(from, to.at), to, meter.lag());
            Ok(meter.with_unseen_energy(curve))
        });
        // No joule is counted twice: the next part begins exactly where this one ends.
        if let (Ok(curve), Some(knot)) = (&curve, &mut next.knot) {
            knot.joules = curve.end().joules;
        }
        *self = next;
        curve
    }
}
