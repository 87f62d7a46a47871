//! Power readings of a sensor, integrated over time, and how well the integral is known.
//!
//! A sensor is read while its device works, so the power between two readings is not known. How much readings differ from
//! one to the next shows how much that matters: the variance of a mean of n samples is estimated from successive
//! differences (von Neumann et al., Ann. Math. Stat. 12, 1941), and multiplied by the time squared.

use crate::{
    clock::Seconds,
    curve::{Curve, Knot},
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
        inner.map(IntegralSnapshot::knot).collect()
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
                let energy = Curve::new(before.knot(), [], after.knot(), 0.0).at(at);
                Some(Knot { at, joules: energy.value, uncertainty: energy.uncertainty })
            }
            _ => {
                let since = power * (at - read).max(0.0);
                Some(Knot { at, joules: self.total + since, uncertainty: self.variance.sqrt() })
            }
        }
    }

    /// Returns the energy between two moments as a curve through the readings between them, all of which must have been
    /// kept. Returns `None` if `to` is not after `from`.
    pub(crate) fn curve(&self, from: &IntegralSnapshot, to: &IntegralSnapshot) -> Option<Curve> {
        let all = self.between(from, to)?;
        let knot = |state: &IntegralSnapshot| Knot {
            at: state.at,
            joules: state.total,
            uncertainty: (state.variance - from.variance).max(0.0).sqrt(),
        };
        let inner = self.retained.iter().filter(|state| state.at > from.at && state.at < to.at);
        let end = Knot { uncertainty: all.uncertainty, ..knot(to) };
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
        // At an end of a window, the sensor's number may be up to a period old.
        let edge = |state: &IntegralSnapshot| state.change * self.period / 12f64.sqrt();
        // A burst that fits between two updates is not seen. It may have reached the power limit.
        let mean = value / (to.at - from.at);
        let unseen = self.limit.map_or(0.0, |limit| {
            (limit - mean.max(from.power).max(to.power)).max(0.0) * self.period / 12f64.sqrt()
        });
        let variance = (to.variance - from.variance).max(0.0);
        let uncertainty =
            [variance.sqrt(), edge(from), edge(to), unseen].into_iter().fold(0.0, f64::hypot);
        Some(UncertainValue { value, uncertainty })
    }
}

impl IntegralSnapshot {
    fn knot(&self) -> Knot {
        Knot { at: self.at, joules: self.total, uncertainty: self.variance.sqrt() }
    }
}
