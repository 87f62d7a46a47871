//! Energy of all domains, part by part, for as long as somebody follows it.
//!
//! ```text
//! ticks       ·      ·      ·      ·      ·
//! parts  ├──────────────────┼─────────────┼───     each begins with the very joules that the one before ended with
//!                           known until here
//! ```
//!
//! What has been used since a counter's last tick is a guess, what lies between two ticks is not: who can wait ends a part
//! where every counter has ticked since ([`crate::Meter::known_until`]).

use crate::{
    clock::Seconds,
    curve::{Curve, Knot},
    gauge::{Faults, Gauge},
    sampler::Keep,
};
use std::time::Instant;

/// Where the parts so far end.
pub struct Following {
    pub(crate) until: Instant,
    pub(crate) stands: Vec<Stand>,
    pub(crate) keep: Keep,
}

/// What a gauge had counted until a moment, and which readings had failed.
#[derive(Clone, Debug)]
pub(crate) struct Stand {
    at: Seconds,
    knot: Option<Knot>,
    faults: Faults,
}

impl Following {
    /// Until when energy has been told.
    pub fn until(&self) -> Instant {
        self.until
    }
}

impl Stand {
    /// Where a gauge stands.
    pub fn of(gauge: &Gauge, at: Seconds) -> Self {
        Self { at, knot: gauge.position(at), faults: gauge.faults() }
    }

    /// Goes on to a moment, and tells the course until there.
    pub fn go_on(&mut self, gauge: &Gauge, at: Seconds) -> Result<Curve, String> {
        let mut next = Self::of(gauge, at);
        let course = gauge.faults().since(&self.faults).and_then(|()| {
            // What nothing was known of yet begins with the first that was told.
            let start = Knot { at: self.at, joules: 0.0, uncertainty: 0.0 };
            let first = || gauge.knots(start, at).first().copied();
            let ends = self.knot.or_else(first).zip(next.knot);
            let (from, to) =
                ends.ok_or("the counter has ticked too seldom for its energy to be told apart")?;
            Ok(gauge.seen(Curve::new(from, gauge.knots(from, to.at), to, gauge.lag())))
        });
        // Joules are never counted twice: where this part ends, the next begins.
        if let (Ok(course), Some(knot)) = (&course, &mut next.knot) {
            knot.joules = course.end().joules;
        }
        *self = next;
        course
    }
}
