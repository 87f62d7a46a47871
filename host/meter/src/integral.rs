//! Power that a sensor tells now and then, integrated over time, and how well that is known.
//!
//! A sensor is read while its device works, so what it says between two readings is not known. How much readings
//! differ from one to the next says how much that matters: the variance of a mean of n samples
//! estimated from successive differences (von Neumann et al., Ann. Math. Stat. 12, 1941), times the time squared.

use crate::{
    clock::Seconds,
    curve::{Curve, Knot},
    estimate::Estimate,
};
use std::collections::VecDeque;

/// What has been integrated.
#[derive(Clone, Debug)]
pub struct Integral {
    /// Time between two updates of the sensor.
    period: Seconds,
    /// The most that the device may draw, where that is known, W.
    limit: Option<f64>,
    last: Option<(Seconds, f64)>,
    /// When the sensor last told another number.
    changed: Seconds,
    total: f64,
    variance: f64,
    /// What the last change was, W.
    change: f64,
    /// What had been reached at each reading since `keep_from`.
    kept: VecDeque<Reached>,
    keep_from: Seconds,
}

/// Energy until a moment.
#[derive(Clone, Copy, Debug)]
pub struct Reached {
    /// The moment.
    pub at: Seconds,
    total: f64,
    variance: f64,
    /// Power then, W.
    power: f64,
    change: f64,
}

impl Integral {
    /// Nothing read yet.
    pub fn new(period: Seconds, limit: Option<f64>) -> Self {
        let (total, variance, change) = (0.0, 0.0, 0.0);
        let (kept, keep_from) = (VecDeque::new(), f64::INFINITY);
        Self { period, limit, last: None, changed: 0.0, total, variance, change, kept, keep_from }
    }

    /// Remembers what is reached at all readings from a moment on, until it is told another.
    pub fn keep_from(&mut self, moment: Seconds) {
        self.keep_from = moment;
        let forgotten = self.kept.partition_point(|reached| reached.at < moment);
        self.kept.drain(..forgotten);
    }

    /// Notes that the sensor told `watts` at `at`.
    pub fn observe(&mut self, at: Seconds, watts: f64) {
        let Some((then, before)) = self.last.replace((at, watts)) else {
            self.changed = at;
            return;
        };
        let length = at - then;
        self.total += (watts + before) / 2.0 * length;
        let change = watts - before;
        if change != 0.0 {
            // A number stands for the time that it was held: an update of the sensor, or longer between readings.
            let held = (at - self.changed).min(self.period).max(length);
            self.variance += (change * held).powi(2) / 2.0;
            (self.changed, self.change) = (at, change);
        }
        if at >= self.keep_from {
            self.kept.extend(self.reach(at));
        }
    }

    /// Power as it was told last, W.
    pub fn power(&self) -> Option<f64> {
        self.last.map(|(_, watts)| watts)
    }

    /// Joules since the first reading.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// Energy until `at`, when the sensor has just been read; none before the first reading.
    pub fn reach(&self, at: Seconds) -> Option<Reached> {
        let (_, power) = self.last?;
        let (total, variance, change) = (self.total, self.variance, self.change);
        Some(Reached { at, total, variance, power, change })
    }

    /// What the readings between two moments tell, of which none may have been forgotten.
    pub fn knots(&self, from: Knot, to: Seconds) -> Vec<Knot> {
        let inner = self.kept.iter().filter(|reached| reached.at > from.at && reached.at < to);
        inner.map(Reached::knot).collect()
    }

    /// Until when energy is known, rather than guessed: the last reading.
    pub fn known_until(&self) -> Option<Seconds> {
        self.last.map(|(at, _)| at)
    }

    /// Joules until a moment: between two readings as the curve through them, after the last at its power.
    pub fn position(&self, at: Seconds) -> Option<Knot> {
        let (read, power) = self.last?;
        let next = self.kept.partition_point(|reached| reached.at <= at);
        match (next.checked_sub(1).and_then(|before| self.kept.get(before)), self.kept.get(next)) {
            (Some(before), Some(after)) => {
                let told = Curve::new(before.knot(), [], after.knot(), 0.0).at(at);
                Some(Knot { at, joules: told.value, uncertainty: told.uncertainty })
            }
            _ => {
                let since = power * (at - read).max(0.0);
                Some(Knot { at, joules: self.total + since, uncertainty: self.variance.sqrt() })
            }
        }
    }

    /// Energy between two moments as a curve through the readings between them, of which none may have been forgotten;
    /// none where they are not one after the other.
    pub fn curve(&self, from: &Reached, to: &Reached) -> Option<Curve> {
        let all = self.between(from, to)?;
        let knot = |reached: &Reached| Knot {
            at: reached.at,
            joules: reached.total,
            uncertainty: (reached.variance - from.variance).max(0.0).sqrt(),
        };
        let inner = self.kept.iter().filter(|reached| reached.at > from.at && reached.at < to.at);
        let end = Knot { uncertainty: all.uncertainty, ..knot(to) };
        Some(Curve::new(knot(from), inner.map(knot), end, self.period))
    }

    /// Energy from one moment to a later one, J; none where they are not one after the other.
    pub fn between(&self, from: &Reached, to: &Reached) -> Option<Estimate> {
        let value = to.total - from.total;
        if to.at <= from.at {
            return None;
        }
        // At an edge the sensor tells of up to a period ago.
        let edge = |reached: &Reached| reached.change * self.period / 12f64.sqrt();
        // A burst as long as an update that fell between two of them, anywhere up to the limit.
        let mean = value / (to.at - from.at);
        let unseen = self.limit.map_or(0.0, |limit| {
            (limit - mean.max(from.power).max(to.power)).max(0.0) * self.period / 12f64.sqrt()
        });
        let variance = (to.variance - from.variance).max(0.0);
        let uncertainty =
            [variance.sqrt(), edge(from), edge(to), unseen].into_iter().fold(0.0, f64::hypot);
        Some(Estimate { value, uncertainty })
    }
}

impl Reached {
    fn knot(&self) -> Knot {
        Knot { at: self.at, joules: self.total, uncertainty: self.variance.sqrt() }
    }
}
