//! Power readings of a sensor, integrated over time, and how well the integral is known.
//!
//! A sensor is read while its device works, so the power between two readings is not known. How much readings differ from
//! one to the next shows how much that matters: the variance of a mean of n samples is estimated from successive
//! differences (von Neumann et al., Ann. Math. Stat. 12, 1941), and multiplied by the time squared.

use crate::{
    clock::Seconds,
    curve::{Curve, Knot},
    energy_until::EnergyUncertainty,
    uncertain_value::UncertainValue,
};
use std::collections::VecDeque;

/// The integral of a sensor's power since its first reading.
#[derive(Clone, Debug)]
pub(crate) struct Integral {
    /// Time between two updates of the sensor, s.
    period: Seconds,
    /// The device's power limit, W, if it is known.
    limit: Option<f64>,
    /// Time and power of the last reading.
    last: Option<(Seconds, f64)>,
    /// When a reading last differed from the one before.
    changed: Seconds,
    total: f64,
    variance: f64,
    /// The last change of power, W.
    change: f64,
    /// The state at each reading since `retain_from`.
    retained: VecDeque<IntegralSnapshot>,
    retain_from: Seconds,
}

/// The state of an integral at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IntegralSnapshot {
    pub at: Seconds,
    /// Joules until then.
    total: f64,
    /// Variance of `total`, J².
    variance: f64,
    /// Power at that moment, W.
    power: f64,
    /// The last change of power before that moment, W.
    change: f64,
}

impl Integral {
    pub(crate) fn new(period: Seconds, limit: Option<f64>) -> Self {
        Self {
            period,
            limit,
            last: None,
            changed: 0.0,
            total: 0.0,
            variance: 0.0,
            change: 0.0,
            retained: VecDeque::new(),
            retain_from: f64::INFINITY,
        }
    }

    /// Keeps the state at every reading from `moment` on, until another moment is set.
    pub(crate) fn retain_from(&mut self, moment: Seconds) {
        self.retain_from = moment;
        let forgotten = self.retained.partition_point(|snapshot| snapshot.at < moment);
        self.retained.drain(..forgotten);
    }

    /// Notes that the sensor showed `watts` at `at`.
    pub(crate) fn observe(&mut self, at: Seconds, watts: f64) {
        let Some((then, before)) = self.last.replace((at, watts)) else {
            self.changed = at;
            return;
        };
        let length = at - then;
        self.total += (watts + before) / 2.0 * length;
        let change = watts - before;
        if change != 0.0 {
            // The old number was valid for one update of the sensor, or for longer if readings are further apart.
            let held = (at - self.changed).min(self.period).max(length);
            self.variance += (change * held).powi(2) / 2.0;
            (self.changed, self.change) = (at, change);
        }
        if at >= self.retain_from {
            self.retained.extend(self.snapshot(at));
        }
    }

    /// Returns the last reading, W.
    pub(crate) fn power(&self) -> Option<f64> {
        self.last.map(|(_, watts)| watts)
    }

    /// Returns the joules since the first reading.
    pub(crate) fn total(&self) -> f64 {
        self.total
    }

    /// Returns the state at `at`. The sensor must have just been read. Returns `None` before the first reading.
    pub(crate) fn snapshot(&self, at: Seconds) -> Option<IntegralSnapshot> {
        let (_, power) = self.last?;
        let (total, variance, change) = (self.total, self.variance, self.change);
        Some(IntegralSnapshot { at, total, variance, power, change })
    }

    /// Returns one point of the energy curve for each reading after `from` and before `to`, all of which must have been
    /// kept.
    pub(crate) fn knots(&self, from: Knot, to: Seconds) -> Vec<Knot> {
        let inner = self.retained.iter().filter(|state| state.at > from.at && state.at < to);
        inner.map(|state| self.knot(state)).collect()
    }

    /// Returns the time of the last reading, until which the energy is known rather than estimated.
    pub(crate) fn known_until(&self) -> Option<Seconds> {
        self.last.map(|(at, _)| at)
    }

    /// Returns the joules until a moment: by the curve between two readings, and at the last reading's power after it.
    pub(crate) fn position(&self, at: Seconds) -> Option<Knot> {
        let (read, power) = self.last?;
        let next = self.retained.partition_point(|state| state.at <= at);
        let before = next.checked_sub(1).and_then(|before| self.retained.get(before));
        match (before, self.retained.get(next)) {
            (Some(before), Some(after)) => {
                Some(Knot::new(at, Curve::new(self.knot(before), [], self.knot(after), 0.0).at(at)))
            }
            _ => {
                let since = power * (at - read).max(0.0);
                let last = self.knot(&self.snapshot(at)?);
                Some(Knot { joules: last.joules + since, ..last })
            }
        }
    }

    /// Returns the energy between two moments as a curve through the readings between them, all of which must have been
    /// kept. Returns `None` if `to` is not after `from`.
    pub(crate) fn curve(&self, from: &IntegralSnapshot, to: &IntegralSnapshot) -> Option<Curve> {
        if to.at <= from.at {
            return None;
        }
        let inner = self.retained.iter().filter(|state| state.at > from.at && state.at < to.at);
        let knot = |state| self.knot(state);
        let last = knot(to);
        let end = Knot { uncertainty: last.uncertainty.and_moment(self.burst(from, to)), ..last };
        Some(Curve::new(knot(from), inner.map(knot), end, self.period))
    }

    /// Returns the energy between two moments, J. Returns `None` if `to` is not after `from`.
    pub(crate) fn between(
        &self,
        from: &IntegralSnapshot,
        to: &IntegralSnapshot,
    ) -> Option<UncertainValue> {
        let value = to.total - from.total;
        if to.at <= from.at {
            return None;
        }
        let gathered = (to.variance - from.variance).max(0.0).sqrt();
        let parts = [gathered, self.edge(from), self.edge(to), self.burst(from, to)];
        Some(UncertainValue { value, uncertainty: parts.into_iter().fold(0.0, f64::hypot) })
    }

    /// Returns the uncertainty from the age of the sensor's number, which may be a period, J.
    fn edge(&self, state: &IntegralSnapshot) -> f64 {
        state.change.abs() * self.period / 12f64.sqrt()
    }

    /// Returns the uncertainty from a burst that fits between two updates and is not seen, J. It may have reached the
    /// power limit.
    fn burst(&self, from: &IntegralSnapshot, to: &IntegralSnapshot) -> f64 {
        let mean = (to.total - from.total) / (to.at - from.at);
        let seen = mean.max(from.power).max(to.power);
        self.limit.map_or(0.0, |limit| (limit - seen).max(0.0) * self.period / 12f64.sqrt())
    }

    fn knot(&self, state: &IntegralSnapshot) -> Knot {
        let uncertainty = EnergyUncertainty {
            moment: self.edge(state),
            readings: state.variance,
            ..EnergyUncertainty::NONE
        };
        Knot { at: state.at, joules: state.total, uncertainty }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sensor that is read and updated every 0.1 s, whose power goes up and down by 100 W, over `length` seconds.
    fn integral(length: u32) -> Integral {
        let mut integral = Integral::new(0.1, Some(700.0));
        integral.retain_from(0.0);
        for reading in 0..=10 * length {
            integral.observe(f64::from(reading) / 10.0, 300.0 + 100.0 * f64::from(reading % 2));
        }
        integral
    }

    #[test]
    fn a_part_has_the_uncertainty_of_its_own_readings_however_long_the_run() {
        let parts = [4, 4000].map(|length| {
            let integral = integral(length);
            let until = |at: f64| integral.position(at).expect("it was read").energy();
            until(f64::from(length) - 1.0).since(until(f64::from(length) - 3.0))
        });
        assert!((parts[0].value - 700.0).abs() < 1e-6, "{parts:?}");
        assert!((parts[0].uncertainty - parts[1].uncertainty).abs() < 1e-6, "{parts:?}");
        // 20 changes of 100 W over 0.1 s each between, and one at each end.
        let changes = 100.0 * 0.1 * (20.0f64 / 2.0 + 2.0 / 12.0).sqrt();
        assert!((parts[0].uncertainty - changes).abs() < 1e-6, "{parts:?} {changes}");
    }
}
