//! A declared power model for a processor without a counter. The person who runs the experiment states its two powers:
//!
//! ```text
//! P = idle + (tdp − idle) · busy share of all its threads
//! ```
//!
//! It is linear in utilisation, as in Fan, Weber and Barroso, "Power provisioning for a warehouse-sized computer"
//! (ISCA 2007), section 4.2. It is not a measurement, and its energy is marked `modelled`. Unless the
//! declaration states an uncertainty, all that is known is that power is between idle and tdp. The model's error is the
//! same at all times. The kernel counts busy time in ticks, and that adds an error of its own at each end of a span.

use crate::{
    clock::Seconds,
    curve::{Curve, Knot},
    energy_until::{EnergyUncertainty, EnergyUntil},
    processor::{CpuTime, Processor, TICK},
    uncertain_value::UncertainValue,
};
use llem_quantity::Unavailable;
use std::{collections::VecDeque, fmt, str::FromStr};

/// Time between two readings of the processor's time for a curve, s: several ticks.
const READ_EVERY: Seconds = 10.0 * TICK;

/// A declared power model of the processor.
///
/// ```
/// use llem_meter::PowerModel;
///
/// let model: PowerModel = "tdp=100,idle=20,uncertainty=10".parse()?;
/// assert_eq!((model.tdp, model.idle, model.uncertainty), (100.0, 20.0, Some(0.1)));
/// let error = "tdp=10,idle=20".parse::<PowerModel>().unwrap_err();
/// assert_eq!(error.to_string(), "tdp=10 must be above idle=20");
/// # Ok::<(), llem_meter::InvalidPowerModel>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerModel {
    /// Power with all hardware threads busy, W.
    pub tdp: f64,
    /// Power with no hardware thread busy, W.
    pub idle: f64,
    /// Standard uncertainty of the energy, as a share of it. `None` means that power may be anything between idle and tdp.
    pub uncertainty: Option<f64>,
}

/// Why the text of a power model is not valid.
#[derive(Clone, Debug, PartialEq)]
pub enum InvalidPowerModel {
    /// A part has no `=`, or `tdp` or `idle` is missing.
    Incomplete,
    /// A value is not a finite number of at least 0.
    NotANumber {
        /// The name before `=`.
        key: String,
        /// The text after `=`.
        value: String,
    },
    /// A name is unknown.
    UnknownKey(String),
    /// `tdp` is not above `idle`.
    NotAbove {
        /// Power with all hardware threads busy, W.
        tdp: f64,
        /// Power with no hardware thread busy, W.
        idle: f64,
    },
}

impl fmt::Display for InvalidPowerModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usage = "write it as tdp=W,idle=W or tdp=W,idle=W,uncertainty=PERCENT";
        match self {
            Self::Incomplete => f.write_str(usage),
            Self::NotANumber { key, value } => {
                write!(f, "{key}={value} is not a number of at least 0; {usage}")
            }
            Self::UnknownKey(key) => {
                write!(f, "'{key}' is none of tdp, idle and uncertainty; {usage}")
            }
            Self::NotAbove { tdp, idle } => write!(f, "tdp={tdp} must be above idle={idle}"),
        }
    }
}

impl std::error::Error for InvalidPowerModel {}

impl FromStr for PowerModel {
    type Err = InvalidPowerModel;

    /// Parses `tdp=W,idle=W` or `tdp=W,idle=W,uncertainty=PERCENT`.
    fn from_str(text: &str) -> Result<Self, InvalidPowerModel> {
        let (mut tdp, mut idle, mut uncertainty) = (None, None, None);
        for part in text.split(',') {
            let (key, value) = part.split_once('=').ok_or(InvalidPowerModel::Incomplete)?;
            let number: f64 = value
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite() && *number >= 0.0)
                .ok_or_else(|| InvalidPowerModel::NotANumber {
                    key: key.to_owned(),
                    value: value.to_owned(),
                })?;
            match key {
                "tdp" => tdp = Some(number),
                "idle" => idle = Some(number),
                "uncertainty" => uncertainty = Some(number / 100.0),
                _ => return Err(InvalidPowerModel::UnknownKey(key.to_owned())),
            }
        }
        let (Some(tdp), Some(idle)) = (tdp, idle) else {
            return Err(InvalidPowerModel::Incomplete);
        };
        match tdp > idle {
            true => Ok(Self { tdp, idle, uncertainty }),
            false => Err(InvalidPowerModel::NotAbove { tdp, idle }),
        }
    }
}

/// A declared power model with the processor whose utilisation it uses.
pub(crate) struct DeclaredPower {
    pub model: PowerModel,
    pub processor: Processor,
}

impl DeclaredPower {
    /// Reads the processor's time.
    pub(crate) fn read(&self) -> Result<CpuTime, Unavailable> {
        self.processor.time()
    }
}

/// A declared power model with the readings of the processor's time.
pub(crate) struct DeclaredPowerReader {
    declared: DeclaredPower,
    readings: VecDeque<TimedCpuTime>,
    retain_from: Seconds,
}

/// The processor's time at a moment, and the energy since the first reading.
#[derive(Clone, Copy, Debug)]
struct TimedCpuTime {
    time: CpuTime,
    knot: Knot,
}

impl DeclaredPowerReader {
    pub(crate) fn new(declared: DeclaredPower) -> Self {
        Self { declared, readings: VecDeque::new(), retain_from: f64::INFINITY }
    }

    /// Reads the processor's time.
    pub(crate) fn read(&self) -> Result<CpuTime, Unavailable> {
        self.declared.read()
    }

    /// Returns the energy over `wall` seconds between two readings, J.
    pub(crate) fn energy(&self, from: CpuTime, to: CpuTime, wall: Seconds) -> UncertainValue {
        self.declared.model.energy(from, to, wall)
    }

    /// Keeps the readings from `moment` on, until another moment is set.
    pub(crate) fn retain_from(&mut self, moment: Seconds) {
        self.retain_from = moment;
        // The newest reading always stays, because the next one continues from it.
        while self.readings.len() > 1 && self.readings[1].knot.at < moment {
            self.readings.pop_front();
        }
    }

    /// Reads the processor's time for a curve, if a curve will be needed and the last reading is old enough.
    pub(crate) fn read_if_due(&mut self, now: Seconds) {
        let last = self.readings.back().copied();
        let is_due = last.is_none_or(|last| now - last.knot.at >= READ_EVERY);
        if now < self.retain_from || !is_due {
            return;
        }
        let Ok(time) = self.declared.read() else { return };
        let model = self.declared.model;
        let energy = last.map_or_else(
            || model.start(time),
            |last| model.energy_after(last.knot.energy(), last.time, time, now - last.knot.at),
        );
        self.readings.push_back(TimedCpuTime { time, knot: Knot::new(now, energy) });
    }

    /// Returns one point of the energy curve for each reading after `from` and before `to`, all of which must have been
    /// kept.
    pub(crate) fn knots(&self, from: Knot, to: Seconds) -> Vec<Knot> {
        let knots = self.readings.iter().map(|reading| reading.knot);
        knots.filter(|knot| knot.at > from.at && knot.at < to).collect()
    }

    /// Returns the time of the last reading, until which the energy is known rather than estimated.
    pub(crate) fn known_until(&self) -> Option<Seconds> {
        self.readings.back().map(|reading| reading.knot.at)
    }

    /// Returns the joules until a moment. After the last reading, power may be anything between idle and all threads busy.
    pub(crate) fn position(&self, at: Seconds) -> Option<Knot> {
        let next = self.readings.partition_point(|reading| reading.knot.at <= at);
        let before = self.readings.get(next.checked_sub(1)?)?;
        match self.readings.get(next) {
            Some(after) => Some(Knot::new(at, Curve::new(before.knot, [], after.knot, 0.0).at(at))),
            None => {
                let (model, since) = (self.declared.model, at - before.knot.at);
                let energy =
                    model.energy_after(before.knot.energy(), before.time, before.time, since);
                Some(Knot::new(at, energy))
            }
        }
    }

    /// Returns the energy between two readings as a curve through the readings between them.
    pub(crate) fn curve(&self, from: (Seconds, CpuTime), to: (Seconds, CpuTime)) -> Curve {
        let model = self.declared.model;
        let start = model.start(from.1);
        let knot = |(at, time): (Seconds, CpuTime)| {
            Knot::new(at, model.energy_after(start, from.1, time, at - from.0))
        };
        let inner = self.readings.iter().map(|reading| (reading.knot.at, reading.time));
        let inner = inner.filter(|(at, _)| *at > from.0 && *at < to.0);
        Curve::new(Knot::new(from.0, start), inner.map(knot), knot(to), 0.0)
    }
}

impl PowerModel {
    /// Returns the energy over `wall` seconds between two readings of the processor's time, J.
    pub(crate) fn energy(&self, from: CpuTime, to: CpuTime, wall: Seconds) -> UncertainValue {
        let start = self.start(from);
        let energy = self.energy_after(start, from, to, wall).since(start);
        let anything = self.range(wall) / 12f64.sqrt();
        // In less than a few ticks, what is left to the model is smaller than an error of a tick.
        UncertainValue { uncertainty: energy.uncertainty.min(anything), ..energy }
    }

    /// Returns an energy of 0 J at the first reading of the processor's time.
    fn start(&self, time: CpuTime) -> EnergyUntil {
        EnergyUntil { joules: 0.0, uncertainty: EnergyUncertainty::of_moment(self.of_tick(time)) }
    }

    /// Returns the energy until `wall` seconds after an earlier moment, from the readings of the processor's time at both.
    fn energy_after(
        &self,
        earlier: EnergyUntil,
        from: CpuTime,
        to: CpuTime,
        wall: Seconds,
    ) -> EnergyUntil {
        let share = to.busy_share_since(from);
        let more = self.idle * wall + self.range(wall) * share.unwrap_or(0.5);
        let anything = self.range(wall) / 12f64.sqrt();
        let model = earlier.uncertainty.model;
        let uncertainty = match share {
            Some(_) => EnergyUncertainty {
                moment: self.of_tick(to),
                model: model + self.uncertainty.map_or(anything, |relative| relative * more),
                readings: 0.0,
            },
            // If no tick of the kernel's clock fell in between, nothing is known of the utilisation.
            None => {
                EnergyUncertainty { moment: anything.hypot(self.of_tick(to)), model, readings: 0.0 }
            }
        };
        EnergyUntil { joules: earlier.joules + more, uncertainty }
    }

    /// Returns the energy between no thread busy and all threads busy over `wall` seconds, J.
    fn range(&self, wall: Seconds) -> f64 {
        (self.tdp - self.idle) * wall
    }

    /// Returns the uncertainty from a moment's place between two ticks, J. Each thread's busy time is off by up to one
    /// tick (GUM 4.3.7), and the threads' errors are independent.
    fn of_tick(&self, time: CpuTime) -> f64 {
        self.range(TICK) / (12.0 * f64::from(time.threads)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::Roots;

    #[test]
    fn half_busy_is_half_way_and_each_end_is_off_by_a_tick() {
        let model: PowerModel = "tdp=100,idle=20".parse().expect("a model");
        let from = CpuTime { busy: 0.0, all: 0.0, threads: 2 };
        let energy = model.energy(from, CpuTime { busy: 200.0, all: 400.0, threads: 2 }, 2.0);
        assert_eq!(energy.value, 120.0);
        assert!((energy.uncertainty - 160.0 / 12f64.sqrt()).abs() < 1e-12);
        let known: PowerModel = "tdp=100,idle=20,uncertainty=10".parse().expect("a model");
        let energy = known.energy(from, CpuTime { busy: 200.0, all: 400.0, threads: 2 }, 2.0);
        // 10 % of 120 J, and at both ends up to 10 ms of 80 W, averaged over two threads.
        let ticks = 0.8 / 24f64.sqrt() * 2f64.sqrt();
        assert!((energy.uncertainty - 12f64.hypot(ticks)).abs() < 1e-12, "{energy:?}");
    }

    #[test]
    fn a_part_late_in_a_run_has_the_uncertainty_of_its_own_energy() {
        let folder = tempfile::tempdir().expect("a folder");
        let roots = Roots { proc: folder.path().to_owned(), sys: folder.path().to_owned() };
        let model = "tdp=100,idle=20,uncertainty=10".parse().expect("a model");
        let declared = DeclaredPower { model, processor: Processor::new(&roots) };
        let mut reader = DeclaredPowerReader::new(declared);
        reader.retain_from(0.0);
        // Two threads, both busy: 100 W for a hundred seconds, read every second.
        for second in 0..=100 {
            let stat = format!("cpu  {} 0 0 0 0\ncpu0 0\ncpu1 0\nctxt 1\n", 200 * second);
            std::fs::write(folder.path().join("stat"), stat).expect("written");
            reader.read_if_due(f64::from(second));
        }
        let [from, to] = [98.0, 99.0].map(|at| reader.position(at).expect("it was read").energy());
        let part = to.since(from);
        assert!((part.value - 100.0).abs() < 1e-9, "{part:?}");
        assert!((part.uncertainty - 10.0).abs() < 0.01, "{part:?}");
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
