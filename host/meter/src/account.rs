//! What one energy counter has counted, and how well that is known at any moment.
//!
//! ```text
//! counter      J₁┌───────────┐J₂         it changes at its ticks and holds between them;
//!      ──────────┘           └──────     a reader sees a tick somewhere in `after..by`
//!            after^by    after^by   ^at
//! energy until `at` = J₂ + P (at − τ₂), P being the mean power of the last whole interval τ₁..τ₂
//! ```
//!
//! A bare difference of two readings lacks what was used after each edge's last tick: at the end of work that
//! began from idle about half a period of full power, which does not average out.

use crate::{
    clock::Seconds,
    curve::{Curve, Knot},
    estimate::{Estimate, RECENT},
};
use std::collections::VecDeque;

/// Ticks that are remembered at least: enough for a median of their distance.
const KEPT: usize = 64;

/// How the counter's ticks lie in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Period {
    /// Its maker states it, and it is shorter than readings are apart.
    Stated(Seconds),
    /// Unknown until ticks have been seen; until then at most this.
    AtMost(Seconds),
}

/// A change of the counter: after the reading at `after` and not after that at `by`.
#[derive(Clone, Copy, Debug)]
struct Tick {
    after: Seconds,
    by: Seconds,
    /// Joules that were counted with it.
    total: f64,
}

impl Tick {
    /// When it was: anywhere in between (GUM 4.3.7).
    fn at(&self) -> Estimate {
        Estimate {
            value: (self.after + self.by) / 2.0,
            uncertainty: (self.by - self.after) / 12f64.sqrt(),
        }
    }
}

/// All that was read of a counter.
#[derive(Clone, Debug)]
pub struct Account {
    period: Period,
    total: f64,
    last_read: Option<Seconds>,
    ticks: VecDeque<Tick>,
    /// From when on all ticks are remembered.
    keep_from: Seconds,
}

/// Energy until a moment.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    /// The moment.
    pub at: Seconds,
    /// Joules that the counter showed.
    pub counted: f64,
    /// Time since its last tick.
    pub lag: Estimate,
    /// Power since then, W, as far as the interval before tells; none before two ticks have been seen.
    pub power: Option<Estimate>,
    /// How long an interval between ticks is.
    pub interval: Seconds,
    /// What was counted with the tick after the edge, where it was waited for: the most that can have been used
    /// since the last.
    pub most: Option<f64>,
}

impl Account {
    /// Nothing read yet.
    pub fn new(period: Period) -> Self {
        let (last_read, ticks, keep_from) = (None, VecDeque::new(), f64::INFINITY);
        Self { period, total: 0.0, last_read, ticks, keep_from }
    }

    /// Notes that at `at` the counter showed `gained` joules more than when it was last read.
    pub fn observe(&mut self, at: Seconds, gained: f64) {
        let Some(last) = self.last_read.replace(at) else { return };
        if gained > 0.0 {
            self.total += gained;
            // Of several ticks since the last reading this is the newest, at most a period old.
            let after = last.max(at - self.longest());
            self.ticks.push_back(Tick { after, by: at, total: self.total });
            self.forget();
        }
    }

    /// Remembers all ticks from a moment on, until it is told another.
    pub fn keep_from(&mut self, moment: Seconds) {
        self.keep_from = moment;
        self.forget();
    }

    fn forget(&mut self) {
        while self.ticks.len() > KEPT && self.ticks[0].by < self.keep_from {
            self.ticks.pop_front();
        }
    }

    /// Joules counted since the first reading.
    pub fn total(&self) -> f64 {
        self.total
    }

    /// When the counter was last seen to change.
    pub fn last_change(&self) -> Option<Seconds> {
        self.ticks.back().map(|tick| tick.by)
    }

    /// Whether readings are near enough for ticks to be told apart.
    pub fn ticks_are_seen(&self) -> bool {
        matches!(self.period, Period::AtMost(_))
    }

    /// Time between two ticks as it was seen: the median, with the uncertainty of a median of
    /// distances that the readings in between blur. None before four have been seen, and where the maker states it.
    pub fn observed_period(&self) -> Option<Estimate> {
        if !self.ticks_are_seen() || self.ticks.len() < 5 {
            return None;
        }
        let newest = self.ticks.len().saturating_sub(KEPT);
        let ticks = || self.ticks.range(newest..);
        let pairs = ticks().zip(ticks().skip(1));
        let mut distances: Vec<f64> = pairs.map(|(a, b)| b.at().value - a.at().value).collect();
        distances.sort_by(f64::total_cmp);
        let count = distances.len();
        let blur: f64 =
            ticks().map(|tick| tick.at().uncertainty).sum::<f64>() / ticks().len() as f64;
        // A median of n has about 1.25 / sqrt(n) of the values' own spread (Kendall and Stuart, 10.6).
        let spread = (distances[count * 3 / 4] - distances[count / 4]) / 1.349;
        let uncertainty = 1.25 * spread.max(blur * 2f64.sqrt()) / (count as f64).sqrt();
        Some(Estimate { value: distances[count / 2], uncertainty })
    }

    /// The longest that a tick may lie back.
    pub fn longest(&self) -> Seconds {
        match self.period {
            Period::Stated(period) => period,
            Period::AtMost(most) => self
                .observed_period()
                .map_or(most, |period| period.value + 3.0 * period.uncertainty),
        }
    }

    /// Energy until `at`, when the counter has just been read.
    pub fn edge(&self, at: Seconds) -> Edge {
        let longest = self.longest();
        let unknown = Estimate { value: longest / 2.0, uncertainty: longest / 12f64.sqrt() };
        let lag = self.ticks.back().map_or(unknown, |tick| {
            let seen = tick.at();
            Estimate { value: at - seen.value, uncertainty: seen.uncertainty }
        });
        let interval = self.observed_period().map_or(longest, |period| period.value);
        Edge { at, counted: self.total, lag, power: self.recent_power(), interval, most: None }
    }

    /// Energy between two edges as a curve through the ticks between them, of which none may have been forgotten. None
    /// where the edges do not tell how much they are apart.
    pub fn curve(&self, from: &Edge, to: &Edge) -> Option<Curve> {
        let mean = from.mean_until(to);
        let end = |edge: &Edge| {
            let since = edge.since_tick(edge.power.or(mean)?);
            let joules = edge.counted + since.value;
            Some(Knot { at: edge.at, joules, uncertainty: since.uncertainty })
        };
        let (start, end) = (end(from)?, end(to)?);
        Some(Curve::new(start, self.knots(start, to.at), end, 0.0))
    }

    /// What the ticks after a moment tell, until a later one.
    pub fn knots(&self, from: Knot, to: Seconds) -> Vec<Knot> {
        let first = self.ticks.partition_point(|tick| tick.at().value <= from.at);
        let mut last = (from.at, from.joules);
        let ticks = self.ticks.range(first..).take_while(|tick| tick.at().value < to);
        let knots = ticks.map(|tick| {
            let at = tick.at();
            let power = ((tick.total - last.1) / (at.value - last.0)).max(0.0);
            last = (at.value, tick.total);
            // A tick that is seen late puts its joules at the wrong time.
            let uncertainty = if power.is_finite() { power * at.uncertainty } else { 0.0 };
            Knot { at: at.value, joules: tick.total, uncertainty }
        });
        knots.collect()
    }

    /// Until when energy is known, rather than guessed: the last tick.
    pub fn known_until(&self) -> Option<Seconds> {
        self.ticks.back().map(|tick| tick.at().value)
    }

    /// Joules until a moment: between two ticks power is taken to be even; after the last it is that of the interval
    /// before. None before two have been seen.
    pub fn position(&self, at: Seconds) -> Option<Knot> {
        let next = self.ticks.partition_point(|tick| tick.at().value <= at);
        let Some(after) = self.ticks.get(next) else {
            let edge = self.edge(at);
            let since = edge.since_tick(edge.power?);
            let joules = edge.counted + since.value;
            return Some(Knot { at, joules, uncertainty: since.uncertainty });
        };
        let before = self.ticks.get(next.checked_sub(1)?)?;
        let knot = |tick: &Tick| Knot { at: tick.at().value, joules: tick.total, uncertainty: 0.0 };
        let told = Curve::new(knot(before), [], knot(after), 0.0).at(at);
        Some(Knot { at, joules: told.value, uncertainty: told.uncertainty })
    }

    /// Mean power of the last whole interval between ticks. How far the power of the next one is from it,
    /// the recent ones tell.
    fn recent_power(&self) -> Option<Estimate> {
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
        Estimate::of_powers(&powers)
    }
}

impl Edge {
    /// Energy from this edge to a later one of the same counter, J. None where the counter did not move in
    /// between or the edges are too near for it to tell anything.
    pub fn until(&self, later: &Self) -> Option<Estimate> {
        let counted = later.counted - self.counted;
        let mean = self.mean_until(later)?;
        let [before, after] = [self, later].map(|edge| edge.since_tick(edge.power.unwrap_or(mean)));
        let value = counted + after.value - before.value;
        let uncertainty = before.uncertainty.hypot(after.uncertainty);
        (value > 0.0).then_some(Estimate { value, uncertainty })
    }

    /// Mean power until a later edge, of which no more is known; none where the counter did not move.
    fn mean_until(&self, later: &Self) -> Option<Estimate> {
        let counted = later.counted - self.counted;
        let wall = later.at - self.at;
        let value = counted / wall;
        (counted > 0.0 && wall > 0.0).then(|| Estimate { value, uncertainty: value / 3f64.sqrt() })
    }

    /// What was used since the last tick, at this power.
    fn since_tick(&self, power: Estimate) -> Estimate {
        let lag = self.lag.value.hypot(self.lag.uncertainty);
        // Over a part of an interval a mean varies more than over the whole: as that of fewer independent
        // moments, by the root of the ratio of their lengths.
        let varied = power.uncertainty * (lag * self.interval.max(lag)).sqrt();
        let value = power.value * self.lag.value;
        let uncertainty = (power.value * self.lag.uncertainty).hypot(varied);
        match self.most {
            None => Estimate { value, uncertainty },
            Some(most) => Estimate {
                value: value.clamp(0.0, most),
                uncertainty: uncertainty.min(most / 12f64.sqrt()),
            },
        }
    }
}
