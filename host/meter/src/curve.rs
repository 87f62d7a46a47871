//! Energy as a curve over time: what one meter knew of the energy until each moment of a window.
//!
//! ```text
//! joules │                    ·──┤ end: the window is closed
//!        │            ·───┊──·      ┊ boundary: the work changes here, from prefill to decode
//!        │      ·─────    ┊         · knot: a tick of the counter, or a reading of the sensor
//!        ├──·             ┊
//!        └┴──────────────────────── time
//! ```
//!
//! Between two knots, power is taken as constant. Where the work is known to change between two knots, that would be wrong.
//! There, the power on each side, as the knots on that side show it, is extended to the boundary. How much the two results
//! differ is the uncertainty.

use crate::{
    clock::Seconds,
    energy_until::{EnergyUncertainty, EnergyUntil},
    uncertain_value::{RECENT, UncertainValue},
};

/// One known point of an energy curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Knot {
    /// The moment, on the meter's clock, s.
    pub at: Seconds,
    /// Joules until then, counted from where the meter's total is 0.
    pub joules: f64,
    /// How well they are known.
    pub uncertainty: EnergyUncertainty,
}

impl Knot {
    pub(crate) fn new(at: Seconds, energy: EnergyUntil) -> Self {
        Self { at, joules: energy.joules, uncertainty: energy.uncertainty }
    }

    /// Returns the energy until the moment.
    pub(crate) fn energy(self) -> EnergyUntil {
        EnergyUntil { joules: self.joules, uncertainty: self.uncertainty }
    }
}

/// Energy over a window. Time and energy never decrease from one knot to the next.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    knots: Vec<Knot>,
    /// How far the readings may lag behind, s: a sensor's number may be as old as the time between two updates.
    lag: Seconds,
}

impl Curve {
    /// Creates the curve from `start` to `end` through the knots in between, which are in order of time.
    pub(crate) fn new(
        start: Knot,
        between: impl IntoIterator<Item = Knot>,
        end: Knot,
        lag: Seconds,
    ) -> Self {
        let end = Knot { joules: end.joules.max(start.joules), ..end };
        let mut knots = vec![start];
        for knot in between {
            let last = knots[knots.len() - 1];
            if knot.at > last.at && knot.at < end.at {
                knots.push(Knot { joules: knot.joules.clamp(last.joules, end.joules), ..knot });
            }
        }
        knots.push(end);
        Self { knots, lag }
    }

    /// Widens the uncertainty at the end if there is no knot between the ends. Such a curve saw none of the energy: it may
    /// have been anything up to `limit` watts, or twice the estimate if no limit is known (GUM 4.3.7).
    pub(crate) fn with_unseen(mut self, limit: Option<f64>) -> Self {
        if self.knots.len() > 2 {
            return self;
        }
        let (length, total) = (self.end().at - self.start().at, self.total());
        let more = limit.map_or(total, |limit| (limit * length - total).max(total));
        if let Some(end) = self.knots.last_mut() {
            end.uncertainty = end.uncertainty.and_moment(more / 12f64.sqrt());
        }
        self
    }

    /// Widens the uncertainty at the end by a burst between two updates of a sensor, which may have reached `limit` watts.
    pub(crate) fn with_unseen_burst(mut self, limit: f64) -> Self {
        let length = self.end().at - self.start().at;
        let mean = if length > 0.0 { self.total() / length } else { limit };
        let burst = (limit - mean).max(0.0) * self.lag.min(length) / 12f64.sqrt();
        if let Some(end) = self.knots.last_mut() {
            end.uncertainty = end.uncertainty.and_moment(burst);
        }
        self
    }

    /// Returns the energy of the whole window, J.
    pub(crate) fn total(&self) -> f64 {
        self.end().joules - self.start().joules
    }

    pub(crate) fn start(&self) -> Knot {
        self.knots[0]
    }

    pub(crate) fn end(&self) -> Knot {
        self.knots[self.knots.len() - 1]
    }

    /// Returns the energy until a moment. A moment outside the window is moved to its nearest end.
    pub(crate) fn at(&self, moment: Seconds) -> EnergyUntil {
        let (after, share) = self.place(moment);
        let (left, right) = (self.knots[after - 1], self.knots[after]);
        let gained = right.joules - left.joules;
        // At a knot nothing is unknown. Half way between two knots, the error is how much power varies from one interval to
        // the next, and at most anything between the two energies (GUM 4.3.7).
        let length = right.at - left.at;
        let unknown = (self.power_variation(after) * length).min(gained / 3f64.sqrt());
        let unknown = unknown * (share * (1.0 - share)).sqrt();
        let between = left.uncertainty.towards(right.uncertainty, share);
        let uncertainty =
            EnergyUncertainty { moment: between.moment.max(self.lagging(moment)), ..between };
        let joules = left.joules + gained * share;
        EnergyUntil { joules, uncertainty: uncertainty.and_moment(unknown) }
    }

    /// Returns the index of the first knot after a moment, and how far the moment is from the knot before to that knot, from
    /// 0 to 1.
    fn place(&self, moment: Seconds) -> (usize, f64) {
        let after = self.index_after(moment);
        let (left, right) = (self.knots[after - 1], self.knots[after]);
        let length = right.at - left.at;
        let share = if length > 0.0 { ((moment - left.at) / length).clamp(0.0, 1.0) } else { 1.0 };
        (after, share)
    }

    /// Returns the uncertainty from readings that lag behind, J: how much power changes at a moment, over a time that may
    /// be anything up to the lag (GUM 4.3.7).
    fn lagging(&self, at: Seconds) -> f64 {
        if self.lag <= 0.0 {
            return 0.0;
        }
        let joules = |moment: Seconds| {
            let (after, share) = self.place(moment);
            let (left, right) = (self.knots[after - 1].joules, self.knots[after].joules);
            left + (right - left) * share
        };
        let mean = |from: Seconds, to: Seconds| (joules(to) - joules(from)) / self.lag;
        let step = (mean(at, at + self.lag) - mean(at - self.lag, at)).abs();
        step * self.lag / 12f64.sqrt()
    }

    /// Returns the index of the first knot after a moment.
    fn index_after(&self, moment: Seconds) -> usize {
        self.knots.partition_point(|knot| knot.at <= moment).clamp(1, self.knots.len() - 1)
    }

    /// Returns how much the power of the interval that ends at knot `index` differs from its neighbours, W.
    fn power_variation(&self, index: usize) -> f64 {
        let power = |index: usize| {
            let (from, to) = (self.knots.get(index.checked_sub(1)?)?, self.knots.get(index)?);
            Some((to.joules - from.joules) / (to.at - from.at)).filter(|power| power.is_finite())
        };
        let Some(own) = power(index) else { return f64::INFINITY };
        let neighbours = [index.checked_sub(1).and_then(power), power(index + 1)];
        let differences = neighbours.into_iter().flatten().map(|power| (power - own).abs());
        differences.reduce(f64::max).unwrap_or(f64::INFINITY)
    }

    /// Returns this curve with an additional knot at each moment at which the work changes. The moments are in order of
    /// time.
    pub(crate) fn with_boundaries(&self, boundaries: &[Seconds]) -> Self {
        let (start, end) = (self.start().at, self.end().at);
        let inner = |&at: &Seconds| at > start && at < end;
        let boundaries: Vec<Seconds> = boundaries.iter().copied().filter(inner).collect();
        let mut added: Vec<Knot> = Vec::with_capacity(boundaries.len());
        for (place, &at) in boundaries.iter().enumerate() {
            let before = if place == 0 { start } else { boundaries[place - 1] };
            let after = boundaries.get(place + 1).copied().unwrap_or(end);
            added.push(self.boundary(before, at, after));
        }
        let mut knots: Vec<Knot> = self.knots.iter().copied().chain(added).collect();
        knots.sort_by(|a, b| a.at.total_cmp(&b.at));
        let (first, last) = (knots[0], knots[knots.len() - 1]);
        Self::new(first, knots, last, self.lag)
    }

    /// Estimates the energy until a boundary at `at`, between work that began at `before` and work that ends at `after`.
    fn boundary(&self, before: Seconds, at: Seconds, after: Seconds) -> Knot {
        let next = self.index_after(at);
        let (left, right) = (self.knots[next - 1], self.knots[next]);
        let gained = right.joules - left.joules;
        let anything = gained / 12f64.sqrt();
        let [since, until] = [at - left.at, right.at - at];
        let drawn = |power: UncertainValue, length: Seconds| power.value * length;
        let first = self.power_beside(before, next - 1, false);
        let second = self.power_beside(after, next, true);
        let left_end = first.map(|power| (left.joules + drawn(power, since)).min(right.joules));
        let right_end = second.map(|power| (right.joules - drawn(power, until)).max(left.joules));
        // The mean over a part of an interval varies more than the mean over all of it ([`crate::tick_counter`]).
        let interval = since + until;
        let varied =
            |power: UncertainValue, length: Seconds| power.uncertainty * (length * interval).sqrt();
        let (joules, uncertainty) = match (left_end, right_end, first, second) {
            (Some(from_left), Some(from_right), ..) => {
                let share = since / interval;
                let apart = (from_left - from_right).abs() / 12f64.sqrt();
                (from_left * (1.0 - share) + from_right * share, apart)
            }
            (Some(joules), None, Some(power), _) => (joules, varied(power, since).min(anything)),
            (None, Some(joules), _, Some(power)) => (joules, varied(power, until).min(anything)),
            _ => (left.joules + gained * since / interval, anything),
        };
        let share =
            if gained > 0.0 { ((joules - left.joules) / gained).clamp(0.0, 1.0) } else { 1.0 };
        let ends = left.uncertainty.moment.max(right.uncertainty.moment);
        // A reading that lags does not see all of the energy. How much it may miss is part of the end's uncertainty.
        let lagging = match self.lag > 0.0 {
            true => self.end().uncertainty.moment.max(self.lagging(at)),
            false => 0.0,
        };
        let moment = uncertainty.hypot(ends).hypot(lagging);
        let between = left.uncertainty.towards(right.uncertainty, share);
        Knot { at, joules, uncertainty: EnergyUncertainty { moment, ..between } }
    }

    /// Returns the power of the work on one side of a boundary, W. It is taken from the intervals between knots that begin
    /// at knot `place`, go away from the boundary, and end before the work's other end at `end`. Returns `None` if there
    /// is no such interval.
    fn power_beside(&self, end: Seconds, place: usize, is_after: bool) -> Option<UncertainValue> {
        let power = |from: &Knot, to: &Knot| (to.joules - from.joules) / (to.at - from.at);
        let powers: Vec<f64> = match is_after {
            true => {
                let pairs = self.knots[place..].windows(2).take_while(|pair| pair[1].at <= end);
                pairs.take(RECENT).map(|pair| power(&pair[0], &pair[1])).collect()
            }
            false => {
                let pairs = self.knots[..=place].windows(2).rev();
                let pairs = pairs.take_while(|pair| pair[0].at >= end);
                pairs.take(RECENT).map(|pair| power(&pair[0], &pair[1])).collect()
            }
        };
        UncertainValue::from_powers(&powers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knot(at: Seconds, joules: f64) -> Knot {
        Knot { at, joules, uncertainty: EnergyUncertainty::NONE }
    }

    /// A counter that ticks every 0.1 s beside work of 600 W until 0.45 s and of 200 W from there to 1 s.
    fn curve() -> Curve {
        let joules = |at: f64| 600.0 * at.min(0.45) + 200.0 * (at - 0.45).max(0.0);
        let ticks = (0..10).map(|tick| 0.05 + 0.1 * f64::from(tick));
        let knots = ticks.map(|at| knot(at, joules(at)));
        Curve::new(knot(0.0, 0.0), knots, knot(1.0, joules(1.0)), 0.0)
    }

    #[test]
    fn a_boundary_between_ticks_is_told_by_the_power_on_both_sides() {
        for (boundary, exact) in [(0.45, 270.0), (0.41, 246.0)] {
            let joules = |at: f64| 600.0 * at.min(boundary) + 200.0 * (at - boundary).max(0.0);
            let ticks = (0..10).map(|tick| 0.05 + 0.1 * f64::from(tick));
            let ticks = ticks.map(|at| knot(at, joules(at)));
            let curve = Curve::new(knot(0.0, 0.0), ticks, knot(1.0, joules(1.0)), 0.0);
            let told = curve.with_boundaries(&[boundary]).at(boundary);
            assert!((told.joules - exact).abs() < 1e-9, "{told:?}");
            assert!(told.uncertainty.moment < 1e-9, "{told:?}");
            // Power taken as even would say something else.
            if boundary != 0.45 {
                assert!((curve.at(boundary).joules - exact).abs() > 5.0);
            }
        }
    }

    #[test]
    fn parts_add_up_and_nothing_goes_back() {
        let curve = curve().with_boundaries(&[0.2, 0.45, 0.46]);
        let moments: Vec<f64> = (0..=1000).map(|place| f64::from(place) / 1000.0).collect();
        let parts =
            moments.windows(2).map(|pair| curve.at(pair[1]).joules - curve.at(pair[0]).joules);
        let parts: Vec<f64> = parts.collect();
        assert!(parts.iter().all(|&part| part >= 0.0));
        assert!((parts.iter().sum::<f64>() - curve.total()).abs() < 1e-9);
        assert!((curve.total() - 380.0).abs() < 1e-9);
    }

    #[test]
    fn where_no_tick_tells_it_anything_is_possible() {
        let curve = Curve::new(knot(0.0, 0.0), [], knot(0.08, 40.0), 0.0);
        let told = curve.with_boundaries(&[0.06]).at(0.06);
        assert!((told.joules - 30.0).abs() < 1e-9);
        assert!((told.uncertainty.moment - 40.0 / 12f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn edges_that_said_too_much_do_not_make_energy_negative() {
        let curve = Curve::new(knot(0.0, 50.0), [knot(0.1, 40.0)], knot(0.2, 45.0), 0.0);
        assert_eq!((curve.total(), curve.at(0.1).joules), (0.0, 50.0));
    }
}
