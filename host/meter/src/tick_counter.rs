//! The ticks of one energy counter, and an estimate of the energy since the last tick.
//!
//! ```text
//! counter      J₁┌───────────┐J₂         it changes at its ticks and is constant between them;
//!      ──────────┘           └──────     a reader knows only that a tick came somewhere in `after..by`
//!            after^by    after^by   ^at
//! energy until `at` = J₂ + P (at − τ₂), where P is the mean power of the last whole interval τ₁..τ₂
//! ```
//!
//! The plain difference of two readings lacks the energy used after the last tick before each end of a window. For work
//! that begins from idle, that is about half a period of full power, and it does not average out.

use crate::{
    clock::Seconds,
    curve::{Curve, Knot},
    energy_until::EnergyUncertainty,
    uncertain_value::{RECENT, UncertainValue},
};
use std::collections::VecDeque;

/// The number of ticks that are always remembered: enough for the median of their distances.
const REMEMBERED: usize = 64;

/// The time between two ticks of a counter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Period {
    /// The maker states the period, and it is shorter than the time between two readings.
    Stated(Seconds),
    /// The period is unknown until ticks have been seen, and at most this long.
    AtMost(Seconds),
}

/// A change of the counter, which came after the reading at `after` and not later than the reading at `by`.
#[derive(Clone, Copy, Debug)]
struct Tick {
    after: Seconds,
    by: Seconds,
    /// Joules counted up to and including this tick.
    total: f64,
}

impl Tick {
    /// Returns the time of the tick, s: anywhere between the two readings (GUM 4.3.7).
    fn at(&self) -> UncertainValue {
        UncertainValue {
            value: (self.after + self.by) / 2.0,
            uncertainty: (self.by - self.after) / 12f64.sqrt(),
        }
    }
}

/// The ticks of one counter, as its readings showed them.
#[derive(Clone, Debug)]
pub(crate) struct TickCounter {
    period: Period,
    total: f64,
    last_read: Option<Seconds>,
    ticks: VecDeque<Tick>,
    /// All ticks from this moment on are remembered.
    retain_from: Seconds,
}

/// What is known of a counter's energy at one moment, at an end of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CounterSnapshot {
    /// The moment, s.
    pub at: Seconds,
    /// Joules that the counter showed.
    pub counted: f64,
    /// Time since the last tick, s.
    pub lag: UncertainValue,
    /// Estimated power since the last tick, W: the mean power of the interval before it. `None` until two ticks have been
    /// observed.
    pub power: Option<UncertainValue>,
    /// Time between two ticks, s.
    pub interval: Seconds,
    /// Joules that the tick after this moment added, if that tick was waited for. The energy since the last tick cannot
    /// be more.
    pub most: Option<f64>,
}

impl TickCounter {
    pub(crate) fn new(period: Period) -> Self {
        let (last_read, ticks, retain_from) = (None, VecDeque::new(), f64::INFINITY);
        Self { period, total: 0.0, last_read, ticks, retain_from }
    }

    /// Notes that the counter showed `gained` joules more at `at` than at the previous reading.
    pub(crate) fn observe(&mut self, at: Seconds, gained: f64) {
        let Some(last) = self.last_read.replace(at) else { return };
        if gained > 0.0 {
            self.total += gained;
            // If several ticks came since the last reading, this is the newest one, at most a period old.
            let after = last.max(at - self.longest_period());
            self.ticks.push_back(Tick { after, by: at, total: self.total });
            self.forget();
        }
    }

    /// Keeps all ticks from `moment` on, until another moment is set.
    pub(crate) fn retain_from(&mut self, moment: Seconds) {
        self.retain_from = moment;
        self.forget();
    }

    fn forget(&mut self) {
        while self.ticks.len() > REMEMBERED && self.ticks[0].by < self.retain_from {
            self.ticks.pop_front();
        }
    }

    /// Returns the joules counted since the first reading.
    pub(crate) fn total(&self) -> f64 {
        self.total
    }

    /// Returns when the counter was last seen to change.
    pub(crate) fn last_change(&self) -> Option<Seconds> {
        self.ticks.back().map(|tick| tick.by)
    }

    /// Returns true if readings are frequent enough to see single ticks.
    pub(crate) fn has_visible_ticks(&self) -> bool {
        matches!(self.period, Period::AtMost(_))
    }

    /// Returns the observed time between two ticks, s: the median of the distances. Its uncertainty also covers that each
    /// tick is known only to the time between two readings. Returns `None` if fewer than five ticks have been seen, or if
    /// the maker states the period.
    pub(crate) fn observed_period(&self) -> Option<UncertainValue> {
        if !self.has_visible_ticks() || self.ticks.len() < 5 {
            return None;
        }
        let newest = self.ticks.len().saturating_sub(REMEMBERED);
        let ticks = || self.ticks.range(newest..);
        let pairs = ticks().zip(ticks().skip(1));
        let mut distances: Vec<f64> = pairs.map(|(a, b)| b.at().value - a.at().value).collect();
        distances.sort_by(f64::total_cmp);
        let count = distances.len();
        let blur: f64 =
            ticks().map(|tick| tick.at().uncertainty).sum::<f64>() / ticks().len() as f64;
        // The median of n values has a deviation of about 1.25 / sqrt(n) times their own (Kendall and Stuart, 10.6).
        let spread = (distances[count * 3 / 4] - distances[count / 4]) / 1.349;
        let uncertainty = 1.25 * spread.max(blur * 2f64.sqrt()) / (count as f64).sqrt();
        Some(UncertainValue { value: distances[count / 2], uncertainty })
    }

    /// Returns the longest time since the last tick that is to be expected, s.
    pub(crate) fn longest_period(&self) -> Seconds {
        match self.period {
            Period::Stated(period) => period,
            Period::AtMost(most) => self
                .observed_period()
                .map_or(most, |period| period.value + 3.0 * period.uncertainty),
        }
    }

    /// Returns what is known of the energy at `at`. The counter must have just been read.
    pub(crate) fn snapshot(&self, at: Seconds) -> CounterSnapshot {
        let longest = self.longest_period();
        let unknown = UncertainValue { value: longest / 2.0, uncertainty: longest / 12f64.sqrt() };
        let lag = self.ticks.back().map_or(unknown, |tick| {
            let seen = tick.at();
            UncertainValue { value: at - seen.value, uncertainty: seen.uncertainty }
        });
        let interval = self.observed_period().map_or(longest, |period| period.value);
        let power = self.recent_power();
        CounterSnapshot { at, counted: self.total, lag, power, interval, most: None }
    }

    /// Returns the energy between two snapshots as a curve through the ticks between them, all of which must have been
    /// kept. Returns `None` if the counter did not move and no power is known.
    pub(crate) fn curve(&self, from: &CounterSnapshot, to: &CounterSnapshot) -> Option<Curve> {
        let mean = from.mean_power_until(to);
        let end = |snapshot: &CounterSnapshot| {
            let since = snapshot.since_tick(snapshot.power.or(mean)?);
            let joules = snapshot.counted + since.value;
            let uncertainty = EnergyUncertainty::of_moment(since.uncertainty);
            Some(Knot { at: snapshot.at, joules, uncertainty })
        };
        let (start, end) = (end(from)?, end(to)?);
        Some(Curve::new(start, self.knots(start, to.at), end, 0.0))
    }

    /// Returns one point of the energy curve for each tick after `from` and before `to`.
    pub(crate) fn knots(&self, from: Knot, to: Seconds) -> Vec<Knot> {
        let first = self.ticks.partition_point(|tick| tick.at().value <= from.at);
        let mut last = (from.at, from.joules);
        let ticks = self.ticks.range(first..).take_while(|tick| tick.at().value < to);
        let knots = ticks.map(|tick| {
            let at = tick.at();
            let power = ((tick.total - last.1) / (at.value - last.0)).max(0.0);
            last = (at.value, tick.total);
            // If the time of a tick is off, its joules are counted at the wrong time.
            let moment = if power.is_finite() { power * at.uncertainty } else { 0.0 };
            let uncertainty = EnergyUncertainty::of_moment(moment);
            Knot { at: at.value, joules: tick.total, uncertainty }
        });
        knots.collect()
    }

    /// Returns the time of the last tick, until which the energy is known rather than estimated.
    pub(crate) fn known_until(&self) -> Option<Seconds> {
        self.ticks.back().map(|tick| tick.at().value)
    }

    /// Returns the joules until a moment. Power is taken as constant between two ticks; after the last tick, it is taken
    /// from the interval before. Returns `None` before two ticks have been seen.
    pub(crate) fn position(&self, at: Seconds) -> Option<Knot> {
        let next = self.ticks.partition_point(|tick| tick.at().value <= at);
        let Some(after) = self.ticks.get(next) else {
            let snapshot = self.snapshot(at);
            let since = snapshot.since_tick(snapshot.power?);
            let joules = snapshot.counted + since.value;
            let uncertainty = EnergyUncertainty::of_moment(since.uncertainty);
            return Some(Knot { at, joules, uncertainty });
        };
        let before = self.ticks.get(next.checked_sub(1)?)?;
        let uncertainty = EnergyUncertainty::NONE;
        let knot = |tick: &Tick| Knot { at: tick.at().value, joules: tick.total, uncertainty };
        Some(Knot::new(at, Curve::new(knot(before), [], knot(after), 0.0).at(at)))
    }

    /// Returns the mean power of the last whole interval between two ticks, W. Its uncertainty is how much power changed
    /// between recent intervals.
    fn recent_power(&self) -> Option<UncertainValue> {
        let newest = self.ticks.iter().rev().take(RECENT + 2);
        let ticks: Vec<&Tick> = newest.collect();
        let powers: Vec<f64> = ticks
            .windows(2)
            .map(|pair| {
                let length = pair[0].at().value - pair[1].at().value;
                (pair[0].total - pair[1].total) / length
            })
            .filter(|power| power.is_finite())
            .collect();
        UncertainValue::from_powers(&powers)
    }
}

impl CounterSnapshot {
    /// Returns the energy from this snapshot to a later one of the same counter, J. Returns `None` if the counter did
    /// not move in between, or if the two are too near for an estimate.
    pub(crate) fn energy_until(&self, later: &Self) -> Option<UncertainValue> {
        let counted = later.counted - self.counted;
        let mean = self.mean_power_until(later)?;
        let [before, after] =
            [self, later].map(|snapshot| snapshot.since_tick(snapshot.power.unwrap_or(mean)));
        let value = counted + after.value - before.value;
        let uncertainty = before.uncertainty.hypot(after.uncertainty);
        (value > 0.0).then_some(UncertainValue { value, uncertainty })
    }

    /// Returns the mean power until a later snapshot, W, for when no interval before is known. Returns `None` if the
    /// counter did not move.
    fn mean_power_until(&self, later: &Self) -> Option<UncertainValue> {
        let counted = later.counted - self.counted;
        let wall = later.at - self.at;
        let value = counted / wall;
        (counted > 0.0 && wall > 0.0)
            .then(|| UncertainValue { value, uncertainty: value / 3f64.sqrt() })
    }

    /// Returns the energy used since the last tick at this power, J.
    fn since_tick(&self, power: UncertainValue) -> UncertainValue {
        let lag = self.lag.value.hypot(self.lag.uncertainty);
        // The mean over a part of an interval varies more than the mean over all of it, because it averages fewer
        // independent moments: by the root of the ratio of the two lengths.
        let varied = power.uncertainty * (lag * self.interval.max(lag)).sqrt();
        let value = power.value * self.lag.value;
        let uncertainty = (power.value * self.lag.uncertainty).hypot(varied);
        match self.most {
            None => UncertainValue { value, uncertainty },
            Some(most) => UncertainValue {
                value: value.clamp(0.0, most),
                uncertainty: uncertainty.min(most / 12f64.sqrt()),
            },
        }
    }
}
