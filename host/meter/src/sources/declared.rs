//! A power model that the person running the experiment declared, for a processor without a counter:
//!
//! ```text
//! P = idle + (tdp − idle) · busy share of all its threads
//! ```
//!
//! linear in utilisation, as in Fan, Weber and Barroso, "Power provisioning for a warehouse-sized computer"
//! (ISCA 2007), section 4.2. It is a belief, not a measurement, and marked so: unless the declaration says how
//! good it is, all that is known is that power lies between idle and tdp.

use crate::{
    clock::Seconds,
    curve::{Curve, Knot},
    estimate::Estimate,
    processor::{CpuTime, Processor},
};
use std::{collections::VecDeque, str::FromStr};

/// How often the processor's time is read for a curve: the kernel counts it in ticks of 10 ms.
const READ_EVERY: Seconds = 0.1;

/// What was declared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerModel {
    /// Power with all threads busy, W.
    pub tdp: f64,
    /// Power with none busy, W.
    pub idle: f64,
    /// Standard uncertainty of its energy as a share of it; none means that of anything between idle and tdp.
    pub uncertainty: Option<f64>,
}

impl FromStr for PowerModel {
    type Err = String;

    /// `tdp=W,idle=W` or `tdp=W,idle=W,uncertainty=PERCENT`.
    fn from_str(text: &str) -> Result<Self, String> {
        let usage = "write it as tdp=W,idle=W or tdp=W,idle=W,uncertainty=PERCENT";
        let (mut tdp, mut idle, mut uncertainty) = (None, None, None);
        for part in text.split(',') {
            let (key, value) = part.split_once('=').ok_or(usage)?;
            let number: f64 = value
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite() && *number >= 0.0)
                .ok_or_else(|| format!("{key}={value} is not a number of at least 0; {usage}"))?;
            match key {
                "tdp" => tdp = Some(number),
                "idle" => idle = Some(number),
                "uncertainty" => uncertainty = Some(number / 100.0),
                _ => return Err(format!("'{key}' is none of tdp, idle and uncertainty; {usage}")),
            }
        }
        let (Some(tdp), Some(idle)) = (tdp, idle) else { return Err(usage.to_owned()) };
        match tdp > idle {
            true => Ok(Self { tdp, idle, uncertainty }),
            false => Err(format!("tdp={tdp} must be above idle={idle}")),
        }
    }
}

/// The model at work.
pub struct Declared {
    /// What was declared.
    pub model: PowerModel,
    /// Whose utilisation it goes by.
    pub processor: Processor,
}

impl Declared {
    /// What the processor has done until now.
    pub fn read(&self) -> Result<CpuTime, String> {
        self.processor.time()
    }
}

/// The model at work, with what has been read.
pub struct Declaring {
    declared: Declared,
    readings: VecDeque<Reading>,
    keep_from: Seconds,
}

/// The processor's time at a moment, and energy since the first reading.
#[derive(Clone, Copy, Debug)]
struct Reading {
    time: CpuTime,
    /// What a model is wrong by it is wrong by each time (GUM 5.2.2, note 1): uncertainties add up.
    knot: Knot,
}

impl Declaring {
    /// Nothing read yet.
    pub fn new(declared: Declared) -> Self {
        Self { declared, readings: VecDeque::new(), keep_from: f64::INFINITY }
    }

    /// What the processor has done until now.
    pub fn read(&self) -> Result<CpuTime, String> {
        self.declared.read()
    }

    /// Energy of a span of `wall` between two readings, J.
    pub fn energy(&self, from: CpuTime, to: CpuTime, wall: Seconds) -> Estimate {
        self.declared.model.energy(from, to, wall)
    }

    /// Remembers readings from a moment on, until it is told another.
    pub fn keep_from(&mut self, moment: Seconds) {
        self.keep_from = moment;
        // The newest is where what comes goes on from.
        while self.readings.len() > 1 && self.readings[1].knot.at < moment {
            self.readings.pop_front();
        }
    }

    /// Reads the processor's time where somebody needs its course and the last reading was long ago.
    pub fn read_now_and_then(&mut self, now: Seconds) {
        let last = self.readings.back().copied();
        let is_due = last.is_none_or(|last| now - last.knot.at >= READ_EVERY);
        if now < self.keep_from || !is_due {
            return;
        }
        let Ok(time) = self.declared.read() else { return };
        let (joules, uncertainty) = last.map_or((0.0, 0.0), |last| {
            let more = self.energy(last.time, time, now - last.knot.at);
            (last.knot.joules + more.value, last.knot.uncertainty + more.uncertainty)
        });
        self.readings.push_back(Reading { time, knot: Knot { at: now, joules, uncertainty } });
    }

    /// What the readings between two moments tell, of which none may have been forgotten.
    pub fn knots(&self, from: Knot, to: Seconds) -> Vec<Knot> {
        let knots = self.readings.iter().map(|reading| reading.knot);
        knots.filter(|knot| knot.at > from.at && knot.at < to).collect()
    }

    /// Until when energy is known, rather than guessed: the last reading.
    pub fn known_until(&self) -> Option<Seconds> {
        self.readings.back().map(|reading| reading.knot.at)
    }

    /// Joules until a moment: after the last reading anything between rest and all threads busy.
    pub fn position(&self, at: Seconds) -> Option<Knot> {
        let next = self.readings.partition_point(|reading| reading.knot.at <= at);
        let before = self.readings.get(next.checked_sub(1)?)?;
        match self.readings.get(next) {
            Some(after) => {
                let told = Curve::new(before.knot, [], after.knot, 0.0).at(at);
                Some(Knot { at, joules: told.value, uncertainty: told.uncertainty })
            }
            None => {
                let more = self.energy(before.time, before.time, at - before.knot.at);
                let joules = before.knot.joules + more.value;
                Some(Knot { at, joules, uncertainty: before.knot.uncertainty + more.uncertainty })
            }
        }
    }

    /// Energy between two readings as a curve through those between them.
    pub fn curve(&self, from: (Seconds, CpuTime), to: (Seconds, CpuTime)) -> Curve {
        let knot = |(at, time): (Seconds, CpuTime)| {
            let energy = self.energy(from.1, time, at - from.0);
            Knot { at, joules: energy.value, uncertainty: energy.uncertainty }
        };
        let start = Knot { at: from.0, joules: 0.0, uncertainty: 0.0 };
        let inner = self.readings.iter().map(|reading| (reading.knot.at, reading.time));
        let inner = inner.filter(|(at, _)| *at > from.0 && *at < to.0);
        Curve::new(start, inner.map(knot), knot(to), 0.0)
    }
}

impl PowerModel {
    /// Energy of a span of `wall` in which the processor did what lies between two readings, J.
    pub fn energy(&self, from: CpuTime, to: CpuTime, wall: Seconds) -> Estimate {
        // Too short a span has no tick of the kernel's clock: nothing is known of it.
        let share = to.busy_share_since(from);
        let range = (self.tdp - self.idle) * wall;
        let value = self.idle * wall + range * share.unwrap_or(0.5);
        let anything = range / 12f64.sqrt();
        let uncertainty = match (self.uncertainty, share) {
            (Some(relative), Some(_)) => relative * value,
            _ => anything,
        };
        Estimate { value, uncertainty }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_busy_is_half_way() {
        let model: PowerModel = "tdp=100,idle=20".parse().expect("a model");
        let from = CpuTime { busy: 0.0, all: 0.0 };
        let energy = model.energy(from, CpuTime { busy: 2.0, all: 4.0 }, 2.0);
        assert_eq!(energy.value, 120.0);
        assert!((energy.uncertainty - 160.0 / 12f64.sqrt()).abs() < 1e-12);
        let known: PowerModel = "tdp=100,idle=20,uncertainty=10".parse().expect("a model");
        assert_eq!(known.energy(from, CpuTime { busy: 2.0, all: 4.0 }, 2.0).uncertainty, 12.0);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "tdp=100",
            "tdp=10,idle=20",
            "tdp=x,idle=2",
            "tdp=1,idle=nan",
            "tdp=9,idle=1,watts=2",
        ] {
            assert!(text.parse::<PowerModel>().is_err(), "{text}");
        }
    }
}
